// @vitest-environment node
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pilarFeature } from '../vite/index.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pilar-preset-'));
  mkdirSync(join(root, 'src'));
  const write = (name: string, text: string) => writeFileSync(join(root, 'src', name), text);
  write('main.js', `
    import { createElement } from 'react';
    import { createRoot } from 'react-dom/client';
    import { registerReactUnmount } from '@favn/feature-sdk';
    import './main.css';
    export function mount(element) {
      const root = createRoot(element);
      root.render(createElement('p'));
      registerReactUnmount(root, 'x');
      return import('./lazy.js');
    }`);
  write('lazy.js', `import './lazy.css'; export const late = 'late text';`);
  write('main.css', '.main { color: red }');
  write('lazy.css', '.lazy { color: blue }');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function buildFeature() {
  await build({ root, configFile: false, logLevel: 'silent', plugins: [pilarFeature({ entry: 'src/main.js' })] });
  const dist = join(root, 'dist');
  const files = readdirSync(dist).sort();
  const read = (name: string) => readFileSync(join(dist, name), 'utf8');
  return { files, read, manifest: JSON.parse(read('pilar-build.json')) };
}

test('a build is flat, hashed by content, and names its entrypoints', async () => {
  const { files, manifest } = await buildFeature();
  const [entry] = manifest.entrypoints.js;
  expect(files.filter((name) => name !== 'pilar-build.json')).toHaveLength(3);
  for (const name of files) expect(name).toMatch(/^(pilar-build\.json|[\w-]+\.[0-9a-f]{12}\.(js|css))$/);
  expect(entry).toMatch(/^index\./);
  expect(files).toContain(entry);
});

test('shared packages and the SDK stay outside, and the exports stay', async () => {
  const { read, manifest } = await buildFeature();
  const code = read(manifest.entrypoints.js[0]);
  for (const specifier of ['react', 'react-dom/client', '@favn/feature-sdk']) {
    expect(code).toMatch(new RegExp(`from\\s*["']${specifier}["']`));
  }
  expect(code).toMatch(/export\s*\{[^}]*mount/);
});

test('the styles of lazy chunks are in the one sheet that the shell loads with integrity', async () => {
  const { files, read, manifest } = await buildFeature();
  expect(manifest.entrypoints.css).toEqual(files.filter((name) => name.endsWith('.css')));
  expect(manifest.entrypoints.css).toHaveLength(1);
  const sheet = read(manifest.entrypoints.css[0]);
  expect(sheet).toContain('.main');
  expect(sheet).toContain('.lazy');
  for (const name of files.filter((file) => file.endsWith('.js'))) expect(read(name)).not.toContain(manifest.entrypoints.css[0]);
});

test('the same sources give the same names', async () => {
  const first = await buildFeature();
  const second = await buildFeature();
  expect(second.files).toEqual(first.files);
});
