// sell
export * from './sell/index.js'
