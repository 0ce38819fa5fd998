// Builds the shared set: every package as one ES module, all in one bundler run, so that what they
// have in common (React itself above all) exists once.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = dirname(fileURLToPath(import.meta.url));
const DIST = join(ROOT, 'dist');

/** Import specifier → file name without hash. */
const PACKAGES = {
  react: 'react',
  'react-dom': 'react-dom',
  'react-dom/client': 'react-dom-client',
  'react/jsx-runtime': 'react-jsx-runtime',
  'react-router-dom': 'react-router-dom',
};

// Conditional requires inside the packages read it while their export names are listed below.
process.env.NODE_ENV = 'production';
const require = createRequire(import.meta.url);

rmSync(DIST, { recursive: true, force: true });
mkdirSync(DIST);
const bundle = await rolldown({
  input: Object.fromEntries(Object.entries(PACKAGES).map(([specifier, name]) => [name, `wrapper:${specifier}`])),
  cwd: ROOT,
  platform: 'browser',
  preserveEntrySignatures: 'strict',
  transform: { define: { 'process.env.NODE_ENV': '"production"' } },
  resolve: {
    // The exports of react-router lead to its development build, whatever the conditions are.
    alias: {
      'react-router/dom': packageFile('react-router', 'dist/production/dom-export.mjs'),
      'react-router': packageFile('react-router', 'dist/production/index.mjs'),
    },
  },
  plugins: [wrappers()],
  // "use client" speaks to server frameworks; here everything runs in the browser.
  onLog: (level, log, next) => log.code !== 'MODULE_LEVEL_DIRECTIVE' && next(level, log),
});
const { output } = await bundle.write({
  dir: DIST,
  format: 'esm',
  minify: true,
  hashCharacters: 'hex',
  entryFileNames: '[name].[hash:12].js',
  chunkFileNames: '[name].[hash:12].js',
});
await bundle.close();

for (const file of output) {
  if (/\b__require\b/.test(file.code)) throw new Error(`${file.fileName} still calls require, which browsers lack`);
}
const packages = Object.fromEntries(
  Object.entries(PACKAGES).map(([specifier, name]) => {
    const entry = output.find((file) => file.isEntry && file.name === name);
    return [specifier, { file: entry.fileName, version: versionOf(specifier) }];
  }),
);
const files = Object.values(packages).map(({ file }) => file);
writeFileSync(
  join(DIST, 'pilar-build.json'),
  `${JSON.stringify({ entrypoints: { js: files, css: [] }, packages }, null, 2)}\n`,
);

/**
 * React ships CommonJS only. A wrapper per package names its exports, because a browser's import
 * statement needs names that a bundler cannot read off CommonJS by itself.
 */
function wrappers() {
  return {
    name: 'pilar-shared-wrappers',
    resolveId: (id) => (id.startsWith('wrapper:') ? `\0${id}` : undefined),
    load(id) {
      if (!id.startsWith('\0wrapper:')) return undefined;
      const specifier = id.slice('\0wrapper:'.length);
      const source = JSON.stringify(specifier);
      if (specifier === 'react-router-dom') return `export * from ${source};`;
      const names = Object.keys(require(specifier)).filter((name) => name !== 'default');
      return [
        `import shared from ${source};`,
        'export default shared;',
        ...names.map((name) => `export const ${name} = shared.${name};`),
      ].join('\n');
    },
  };
}

function packageFile(name, path) {
  return join(ROOT, 'node_modules', name, path);
}

function versionOf(specifier) {
  const name = specifier.split('/')[0];
  return JSON.parse(readFileSync(packageFile(name, 'package.json'), 'utf8')).version;
}
