// buy
export * from './buy/index.js'
// sell
export * from './sell/index.js'
// sessions
export * from './session/index.js'
