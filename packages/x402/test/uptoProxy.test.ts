import { devUptoProxyAbi } from '@opg/bindings'
import { UPTO_PROXY } from '@opg/protocol'
import { x402UptoPermit2ProxyABI, x402UptoPermit2ProxyAddress } from '@x402/evm'
import { Interface } from 'ethers'
import { describe, expect, it } from 'vitest'

describe('the development twin of the upto proxy', () => {
  it('stands where stock packages look for the proxy', () => {
    expect(UPTO_PROXY).toBe(x402UptoPermit2ProxyAddress)
  })

  it('has the published functions, errors and events, and no others', () => {
    const fragments = (abi: ConstructorParameters<typeof Interface>[0]): string[] =>
      new Interface(abi).fragments.map((fragment) => fragment.format('full')).sort()
    expect(fragments(devUptoProxyAbi)).toEqual(fragments(x402UptoPermit2ProxyABI))
  })
})
