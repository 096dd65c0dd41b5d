import { clearSnapshots } from '@nomicfoundation/hardhat-toolbox/network-helpers.js'
import type { EthereumProvider } from 'hardhat/types'
import Mocha from 'mocha'

export interface SuiteResult {
  readonly passed: number
  /** The first test that failed; if the suites bail, nothing after it ran. */
  readonly failure?: { readonly title: string; readonly reason: string }
}

/**
 * Longest that one test may take. Tests take a few seconds, but the first may have to wait for the compiler, on a machine
 * that does other things too; and a mutant may wait for ever.
 */
const TEST_TIMEOUT_MS = 240_000

/** Says nothing: the run reports. */
class Silent extends Mocha.reporters.Base {
  override epilogue(): void {
    return
  }
}

/** Test files that stay loaded, each run as often as asked, on a fresh chain every time. */
export class Suites {
  readonly #loaded = new Map<string, Mocha>()

  constructor(
    private readonly provider: Pick<EthereumProvider, 'request'>,
    private readonly options: { readonly bail: boolean },
  ) {}

  async run(file: string): Promise<SuiteResult> {
    await this.provider.request({ method: 'hardhat_reset', params: [] })
    await clearSnapshots()
    const mocha = await this.#load(file)
    let failure: SuiteResult['failure']
    let passed = 0
    const runner = await new Promise<Mocha.Runner>((resolve) => {
      const runner = mocha.run(() => {
        resolve(runner)
      })
      runner.on('pass', () => {
        passed += 1
      })
      runner.on('fail', (test, error: unknown) => {
        failure ??= { title: test.fullTitle(), reason: error instanceof Error ? error.message : String(error) }
      })
    })
    runner.dispose() // or each run would leave its listeners on the process
    return failure ? { passed, failure } : { passed }
  }

  async #load(file: string): Promise<Mocha> {
    const known = this.#loaded.get(file)
    if (known) return known
    const mocha = new Mocha({ bail: this.options.bail, timeout: TEST_TIMEOUT_MS, reporter: Silent })
    mocha.cleanReferencesAfterRun(false)
    mocha.addFile(file)
    await mocha.loadFilesAsync()
    this.#loaded.set(file, mocha)
    return mocha
  }
}
