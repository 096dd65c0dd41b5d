import { getCreate2Address, keccak256 } from 'ethers'
import { describe, expect, it } from 'vitest'
import {
  codes,
  deploymentOf,
  DeploymentUnknownError,
  FeePolicy__factory,
  inferenceEscrowAbi,
  InferenceEscrow__factory,
  isCodeOf,
  permit2CreationCode,
  permit2Salt,
} from '../src/index.js'

describe('bindings', () => {
  it('carry the canonical Permit2', () => {
    const deployer = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
    expect(getCreate2Address(deployer, permit2Salt, keccak256(permit2CreationCode))).toBe(
      '0x000000000022D473030F116dDEE9F6B43aC78BA3',
    )
  })

  it('give the same ABI with and without a factory', () => {
    expect(inferenceEscrowAbi).toEqual(InferenceEscrow__factory.abi)
  })

  it('name the chain that has no deployment', () => {
    expect(() => deploymentOf(424_242n)).toThrow(DeploymentUnknownError)
    expect(() => deploymentOf(424_242n)).toThrow(/chain 424242/)
  })
})

describe('isCodeOf', () => {
  const { code, immutables } = codes.InferenceEscrow
  const [first] = immutables

  it('knows the code, whatever its immutables are', () => {
    expect(isCodeOf('InferenceEscrow', code)).toBe(true)
    expect(isCodeOf('InferenceEscrow', withByte(code, first.start, 'ab'))).toBe(true)
  })

  it('refuses any other code', () => {
    expect(isCodeOf('InferenceEscrow', '0x')).toBe(false)
    expect(isCodeOf('InferenceEscrow', `${code}00`)).toBe(false)
    expect(isCodeOf('InferenceEscrow', withByte(code, 0, 'fe'))).toBe(false)
    expect(isCodeOf('InferenceEscrow', FeePolicy__factory.bytecode)).toBe(false)
  })
})

function withByte(code: string, index: number, byte: string): string {
  return code.slice(0, 2 + 2 * index) + byte + code.slice(4 + 2 * index)
}
