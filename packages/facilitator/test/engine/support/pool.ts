import type { EngineWorld } from './world.js'

/** The transactions of the sending key that wait in the pool. */
export async function pooled({
  devnet,
  sender,
}: EngineWorld): Promise<readonly { readonly maxFeePerGas: bigint; readonly nonce: number }[]> {
  const content = (await devnet.provider.send('txpool_content', [])) as {
    readonly pending: Readonly<
      Record<string, Readonly<Record<string, { readonly maxFeePerGas: string; readonly nonce: string }>>>
    >
  }
  const own = Object.entries(content.pending).find(([from]) => from.toLowerCase() === sender.address.toLowerCase())
  return Object.values(own?.[1] ?? {}).map(({ maxFeePerGas, nonce }) => ({
    maxFeePerGas: BigInt(maxFeePerGas),
    nonce: Number(nonce),
  }))
}
