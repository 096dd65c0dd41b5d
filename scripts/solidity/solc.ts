import { createRequire } from 'node:module'

/** The part of npm's `solc` that is used here; the package has no types of its own. */
interface Solc {
  compile(input: string, callbacks?: { import: (path: string) => { contents: string } | { error: string } }): string
}

export interface CompilerInput {
  readonly language: 'Solidity'
  readonly sources: Readonly<Record<string, { readonly content: string }>>
  readonly settings: Readonly<Record<string, unknown>>
}

export interface CompilerOutput {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[]
  readonly sources?: Readonly<Record<string, { readonly ast: unknown }>>
  readonly contracts?: Readonly<
    Record<
      string,
      Record<
        string,
        {
          readonly abi: readonly unknown[]
          readonly evm: {
            readonly bytecode: { readonly object: string }
            readonly deployedBytecode: { readonly object: string }
          }
        }
      >
    >
  >
}

const solc = createRequire(import.meta.url)('solc') as Solc

/** Compiles; imports that are not among the sources are asked of `read`. */
export function compile(input: CompilerInput, read?: (path: string) => string): CompilerOutput {
  const callbacks = read && { import: (path: string) => ({ contents: read(path) }) }
  return JSON.parse(solc.compile(JSON.stringify(input), callbacks)) as CompilerOutput
}

export function errorsOf(output: CompilerOutput): string[] {
  return (output.errors ?? []).filter(({ severity }) => severity === 'error').map((error) => error.formattedMessage)
}
