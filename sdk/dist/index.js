export * from './feature-sdk.c7090e52b954.js';
