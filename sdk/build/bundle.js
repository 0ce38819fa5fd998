import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Builds the served files, their list `sdk.json` and the types into `outDir`.
 *
 * Shell and feature SDK are two entries of one run, so that the state they share is one chunk and
 * therefore one module instance in the browser.
 */
export async function bundle(outDir) {
  rmSync(outDir, { recursive: true, force: true });
  const result = await build({
    root: ROOT,
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      // Old enough for light-dark() to be understood, so that it is not rewritten into longer CSS.
      cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
      modulePreload: false,
      copyPublicDir: false,
      reportCompressedSize: false,
      rolldownOptions: {
        input: { shell: 'src/shell/main.ts', 'feature-sdk': 'src/feature-sdk/index.ts' },
        preserveEntrySignatures: 'strict',
        output: {
          hashCharacters: 'hex',
          entryFileNames: '[name].[hash:12].js',
          chunkFileNames: '[name].[hash:12].js',
          assetFileNames: '[name].[hash:12][extname]',
          codeSplitting: { groups: [{ name: 'runtime', test: /src\/runtime\// }] },
        },
      },
    },
  });
  const files = result.output.map((file) => file.fileName).sort();
  const named = (name, extension) => {
    const pattern = new RegExp(`^${name}\\.[0-9a-f]{12}\\.${extension}$`);
    const found = files.filter((file) => pattern.test(file));
    if (found.length !== 1) throw new Error(`expected one ${name}.*.${extension} in the build, found ${found.length}`);
    return found[0];
  };
  const description = {
    shell: { js: named('shell', 'js'), css: named('shell', 'css') },
    imports: { '@favn/feature-sdk': named('feature-sdk', 'js') },
    files,
  };
  writeFileSync(join(outDir, 'sdk.json'), `${JSON.stringify(description, null, 2)}\n`);
  // Not served: what a feature's own tests import, under a name that does not change.
  writeFileSync(join(outDir, 'index.js'), `export * from './${description.imports['@favn/feature-sdk']}';\n`);
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.types.json', '--outDir', join(outDir, 'types')], {
    cwd: ROOT,
    stdio: 'inherit',
  });
}

/** All files below a folder, relative, sorted. */
export function listFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
