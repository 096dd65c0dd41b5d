import { spawn } from 'node:child_process'

/** One suite of tests: a command, and how it says what it counted. */
interface Suite {
  readonly name: string
  readonly command: readonly string[]
  readonly passed: RegExp
  readonly failed: RegExp
}

const SUITES: readonly Suite[] = [
  {
    name: 'contracts',
    command: ['hardhat', 'test', '--no-compile'],
    passed: /^\s*(\d+) passing/m,
    failed: /^\s*(\d+) failing/m,
  },
  {
    name: 'packages',
    command: ['vitest', 'run'],
    passed: /^\s*Tests .*?(\d+) passed/m,
    failed: /^\s*Tests .*?(\d+) failed/m,
  },
  {
    // On the contracts that Hardhat compiled. The same sequences every time: a red test is the change's doing.
    name: 'invariants',
    command: ['forge', 'test', '--fuzz-seed', '0xf6'],
    passed: /(\d+) tests passed, \d+ failed/,
    failed: /\d+ tests passed, (\d+) failed/,
  },
]

interface Outcome {
  readonly passed: number
  readonly failed: number
}

// eslint's own rule would have the character escaped, which is what it is.
const ANSI = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')

function countIn(output: string, pattern: RegExp): number {
  return Number(pattern.exec(output)?.[1] ?? 0)
}

/** Runs a suite, showing what it prints. A suite that fails without naming a failed test counts as one. */
async function run(suite: Suite): Promise<Outcome> {
  console.log(`\n== ${suite.name}`)
  const child = spawn('npx', ['--no-install', ...suite.command], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    process.stdout.write(text)
  })
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      resolve(code ?? 1)
    })
  })
  const plain = output.replace(ANSI, '')
  const passed = countIn(plain, suite.passed)
  const failed = countIn(plain, suite.failed)
  const unnamed = failed === 0 && (exitCode !== 0 || passed === 0)
  return { passed, failed: unnamed ? 1 : failed }
}

async function main(): Promise<void> {
  let [passed, failed] = [0, 0]
  for (const suite of SUITES) {
    const outcome = await run(suite)
    passed += outcome.passed
    failed += outcome.failed
  }
  console.log(`\n${String(passed)} passed, ${String(failed)} failed`)
  if (failed > 0) process.exitCode = 1
}

await main()
