// The Vite preset of a feature: what `pilar build` expects to find in dist/.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Resolved by the import map of the shell, so never part of a feature's own files. */
const SHARED = [/^react$/, /^react\/jsx-runtime$/, /^react-dom$/, /^react-dom\/client$/, /^react-router-dom$/, /^@favn\/feature-sdk$/];

/**
 * @param {{ entry: string }} options
 * @returns {import('vite').Plugin}
 */
export function pilarFeature({ entry }) {
  let outDir = 'dist';
  return {
    name: 'pilar-feature',
    config: (_config, { command }) => ({
      // Only for the build: the development server and Vitest resolve these packages themselves.
      build: command !== 'build' ? {} : {
        outDir,
        target: 'es2023',
        cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
        // Chunks are found by relative imports, and their integrity by the import map.
        modulePreload: false,
        assetsDir: '',
        // One stylesheet, loaded by the shell: a chunk would load its own without integrity, and
        // into the page even where the feature lives in a shadow root.
        cssCodeSplit: false,
        assetsInlineLimit: 0,
        rolldownOptions: {
          input: { index: entry },
          external: SHARED,
          // The shell calls exports of the entry, which a page bundle would drop.
          preserveEntrySignatures: 'strict',
          output: {
            hashCharacters: 'hex',
            entryFileNames: '[name].[hash:12].js',
            chunkFileNames: '[name].[hash:12].js',
            assetFileNames: '[name].[hash:12][extname]',
          },
        },
      },
      // Files lie beside each other under a path that only the host knows.
      base: './',
    }),
    configResolved: (config) => {
      outDir = join(config.root, config.build.outDir);
    },
    // Names only. Hashes are taken by `pilar build` from the files on disk: inside the bundler
    // they would be those of CSS that is still going to change.
    async writeBundle(_options, bundle) {
      const files = Object.values(bundle);
      const js = files.filter((file) => file.type === 'chunk' && file.isEntry).map((file) => file.fileName);
      const css = files.map((file) => file.fileName).filter((name) => name.endsWith('.css'));
      await writeFile(join(outDir, 'pilar-build.json'), `${JSON.stringify({ entrypoints: { js, css } }, null, 2)}\n`);
    },
  };
}
