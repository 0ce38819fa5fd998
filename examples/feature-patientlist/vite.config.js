import { pilarFeature } from '@favn/feature-sdk/vite';
import { defineConfig } from 'vite';

export default defineConfig({ plugins: [pilarFeature({ entry: 'src/main.tsx' })] });
