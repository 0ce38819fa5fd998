import type { Plugin } from 'vite';

export interface PilarFeatureOptions {
  /** The module that the shell imports, relative to the project root, such as `src/main.tsx`. */
  entry: string;
}

/** Builds a feature so that `pilar build` can take it: shared packages left out, hashed names, a flat `dist/`. */
export function pilarFeature(options: PilarFeatureOptions): Plugin;
