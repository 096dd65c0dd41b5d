import { defineConfig } from 'vitest/config'

// Tests start real chains: how long that takes is no assertion.
export default defineConfig({ test: { testTimeout: 60_000, hookTimeout: 60_000 } })
