import { defineConfig } from 'vitest/config'

// Tests start real chains and processes, and kill some: how long that takes is no assertion.
export default defineConfig({ test: { testTimeout: 400_000, hookTimeout: 120_000 } })
