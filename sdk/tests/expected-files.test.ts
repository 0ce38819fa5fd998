import { expect, test } from 'vitest';
import { expectedFiles } from '../src/runtime/expected-files';
import { domain } from './page-fixture';

test('a feature is made of its own files, the shared packages and its stylesheets', () => {
  document.body.innerHTML = `<script type="importmap">${JSON.stringify({
    imports: { react: '/_shared/react.1.js' },
    integrity: {
      '/_shared/react.1.js': 'r',
      '/_shared/chunk.1.js': 'c',
      '/_assets/list/1.0.0/index.1.js': 'i',
      '/_assets/list/1.0.0/lazy.1.js': 'l',
      '/_assets/other/1.0.0/index.1.js': 'o',
    },
  })}</script>`;
  const feature = domain('list', {
    js: ['/_assets/list/1.0.0/index.1.js'],
    css: [{ href: '/_assets/list/1.0.0/style.1.css', integrity: 's' }],
  });
  expect(Object.fromEntries(expectedFiles(document, feature))).toEqual({
    '/_shared/react.1.js': 'r',
    '/_shared/chunk.1.js': 'c',
    '/_assets/list/1.0.0/index.1.js': 'i',
    '/_assets/list/1.0.0/lazy.1.js': 'l',
    '/_assets/list/1.0.0/style.1.css': 's',
  });
});
