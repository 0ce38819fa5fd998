export * from './feature-sdk.8d7450500ed3.js';
