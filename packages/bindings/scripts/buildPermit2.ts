import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, posix, resolve } from 'node:path'
import { getCreate2Address, keccak256 } from 'ethers'
import { type Abi, toLiteral } from './toLiteral.js'
import { writeGenerated } from './writeGenerated.js'

const CANONICAL_ADDRESS = '0x000000000022D473030F116dDEE9F6B43aC78BA3'
const DETERMINISTIC_DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
const SALT = '0x0000000000000000000000000000000000000000d3af2663da51c10215000000'
const ENTRY = 'src/Permit2.sol'

interface SolcInput {
  readonly sources: Readonly<Record<string, { readonly content: string }>>
}

interface SolcContract {
  readonly abi: Abi
  readonly evm: { readonly bytecode: { readonly object: string } }
}

interface SolcOutput {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[]
  readonly contracts?: Record<string, Record<string, SolcContract>>
}

interface Solc {
  compile(input: string): string
  version(): string
}

const requireFrom = createRequire(import.meta.url)

/** Where the package that carries Permit2's source keeps it. */
function sourceRoot(): string {
  return resolve(dirname(requireFrom.resolve('@uniswap/v4-periphery/package.json')), 'lib/permit2')
}

/** The entry and all that it imports, breadth first: the canonical bytecode needs exactly these files, in this order. */
function readSources(root: string): SolcInput['sources'] {
  const sources: Record<string, { content: string }> = {}
  const queue = [ENTRY]
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    if (sources[path] !== undefined) continue
    const content = readFileSync(resolve(root, path), 'utf8')
    sources[path] = { content }
    for (const [, imported = ''] of content.matchAll(/from "(.*?)"/g)) {
      queue.push(
        imported.startsWith('.')
          ? posix.join(posix.dirname(path), imported)
          : imported.replace('solmate/', 'lib/solmate/'),
      )
    }
  }
  return sources
}

/** Compiles Permit2 and checks that it lands on its canonical address. */
function compile(input: SolcInput): { readonly abi: Abi; readonly creationCode: string } {
  const solc = requireFrom('solc-permit2') as Solc
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as SolcOutput
  const contract = output.contracts?.[ENTRY]?.Permit2
  if (contract === undefined) {
    throw new Error(
      `Permit2 does not compile: ${output.errors?.map((error) => error.formattedMessage).join('\n') ?? 'no output'}`,
    )
  }
  const creationCode = `0x${contract.evm.bytecode.object}`
  const address = getCreate2Address(DETERMINISTIC_DEPLOYER, SALT, keccak256(creationCode))
  if (address !== CANONICAL_ADDRESS) {
    throw new Error(
      `Permit2 would land on ${address}, expected ${CANONICAL_ADDRESS}: check the compiler and the source package`,
    )
  }
  return { abi: contract.abi, creationCode }
}

/** Writes `permit2.ts`, unless it was made from the same source by the same compiler: compiling takes seconds. */
export function buildPermit2(target: string): void {
  const input = {
    language: 'Solidity',
    sources: readSources(sourceRoot()),
    settings: {
      viaIR: true,
      optimizer: { enabled: true, runs: 1_000_000 },
      metadata: { bytecodeHash: 'none' },
      remappings: ['solmate/=lib/solmate/'],
      outputSelection: { [ENTRY]: { Permit2: ['abi', 'evm.bytecode.object'] } },
    },
  }
  const script = readFileSync(import.meta.filename)
  const compiler = readFileSync(requireFrom.resolve('solc-permit2/package.json'))
  const inputs = createHash('sha256').update(JSON.stringify(input)).update(script).update(compiler).digest('hex')
  const header = `// Generated from Uniswap's source by scripts/buildPermit2.ts. Inputs: ${inputs}\n`
  if (existsSync(target) && readFileSync(target, 'utf8').startsWith(header)) return

  const { abi, creationCode } = compile(input)
  writeGenerated(
    target,
    `${header}
/** Creation code of Permit2; sent through the deterministic deployer with \`permit2Salt\` it lands on its canonical address. */
export const permit2CreationCode = '${creationCode}'

/** CREATE2 salt of the canonical deployment. */
export const permit2Salt = '${SALT}'

/** All of Permit2. */
export const permit2Abi = ${toLiteral(abi)}
`,
  )
}
