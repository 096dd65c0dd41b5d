import { resolve } from 'node:path'
import { CONTRACTS } from './contracts.js'
import { readArtifact } from './readArtifact.js'
import { toLiteral } from './toLiteral.js'
import { writeGenerated } from './writeGenerated.js'

const HEADER = '// Generated from the compiled contracts by scripts/buildContracts.ts.\n\n'

/** Writes ABIs, deployed code and the choice of TypeChain's factories. */
export function buildContracts(root: string, generated: string): void {
  const compiled = CONTRACTS.map((contract) => ({ ...contract, ...readArtifact(root, contract.source, contract.name) }))

  const abis = compiled.map(({ abiName, abi }) => `export const ${abiName} = ${toLiteral(abi)}\n`)
  writeGenerated(resolve(generated, 'abis.ts'), HEADER + abis.join('\n'))

  const codes = compiled
    .filter(({ deployedBytecode }) => deployedBytecode !== '0x')
    .map(({ name, deployedBytecode: code, immutables }) => `${name}: ${JSON.stringify({ code, immutables })}`)
  writeGenerated(
    resolve(generated, 'codes.ts'),
    `${HEADER}/** Deployed code by contract, and where constructors fill in immutables. */
export const codes = {\n${codes.map((code) => `  ${code},\n`).join('')}} as const\n`,
  )

  const reexports = compiled.map(({ source, name }) => {
    const path = `${source.replace(/\/?[^/]*$/, '')}/${name}.js`
    return (
      `export type { ${name} } from './typechain/${path}'\n` +
      `export { ${name}__factory } from './typechain/factories/${path.replace('.js', '__factory.js')}'\n`
    )
  })
  writeGenerated(resolve(generated, 'contracts.ts'), HEADER + reexports.join(''))
}
