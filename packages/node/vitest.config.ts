import { defineConfig } from 'vitest/config'

// Tests start real chains and processes: how long that takes is no assertion.
export default defineConfig({ test: { testTimeout: 120_000, hookTimeout: 120_000 } })
