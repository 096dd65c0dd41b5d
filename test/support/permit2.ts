import { setCode } from '@nomicfoundation/hardhat-network-helpers'
import { ethers } from 'hardhat'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export const PERMIT2_ADDRESS = '0x000000000022D473030F116dDEE9F6B43aC78BA3'

const DETERMINISTIC_DEPLOYER = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
const DETERMINISTIC_DEPLOYER_CODE =
  '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3'

/** Generated from Uniswap's source; read as text, because tests are CommonJS and the bindings are ES modules. */
const GENERATED = resolve(__dirname, '../../packages/bindings/src/generated/permit2.ts')

function generatedConstant(source: string, name: string): string {
  const value = new RegExp(`export const ${name} = '(0x[0-9a-f]+)'`).exec(source)?.[1]
  if (value === undefined)
    throw new TypeError(`${GENERATED} does not export ${name}: run packages/bindings/scripts/buildPermit2.ts`)
  return value
}

/** The transaction that puts the real Permit2 on its canonical address, as public chains did it. */
export function permit2Deployment(): { to: string; data: string } {
  const source = readFileSync(GENERATED, 'utf8')
  const data = ethers.concat([
    generatedConstant(source, 'permit2Salt'),
    generatedConstant(source, 'permit2CreationCode'),
  ])
  return { to: DETERMINISTIC_DEPLOYER, data }
}

/** Puts the real Permit2 on its canonical address of the test network, and the deployer that it needs. */
export async function installPermit2(): Promise<void> {
  if (await hasPermit2()) return
  await setCode(DETERMINISTIC_DEPLOYER, DETERMINISTIC_DEPLOYER_CODE)
  const [deployer] = await ethers.getSigners()
  const sent = await deployer?.sendTransaction(permit2Deployment())
  await sent?.wait()
  if (!(await hasPermit2())) throw new TypeError(`Permit2 did not land on ${PERMIT2_ADDRESS}`)
}

async function hasPermit2(): Promise<boolean> {
  return (await ethers.provider.getCode(PERMIT2_ADDRESS)) !== '0x'
}
