import { JsonRpcProvider, type Subscriber, type Subscription } from 'ethers'

const POLL_MS = 20

/**
 * Caches nothing, polls often, and misses no receipt: ethers looks for one whenever it hears of a new block, and the first
 * block that it can hear of is the one after those that were there when it began to listen. A chain that mines a block for
 * a transaction and then stands still would let `wait` wait for ever.
 */
export class DevnetProvider extends JsonRpcProvider {
  constructor(rpcUrl: string, chainId: number) {
    super(rpcUrl, chainId, { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 })
    this.pollingInterval = POLL_MS
  }

  override _getSubscriber(subscription: Subscription): Subscriber {
    if (subscription.type !== 'transaction') return super._getSubscriber(subscription)
    return receiptPoller(this, subscription.hash)
  }
}

/** Asks for a receipt on an interval, and tells of it as long as somebody listens. */
function receiptPoller(provider: JsonRpcProvider, hash: string): Subscriber {
  let timer: NodeJS.Timeout | undefined
  const look = async (): Promise<void> => {
    const receipt = await provider.getTransactionReceipt(hash).catch(() => null)
    if (receipt !== null && timer !== undefined) await provider.emit(hash, receipt)
    if (timer !== undefined) start()
  }
  const start = (): void => {
    timer = setTimeout(() => void look(), POLL_MS)
  }
  const stop = (): void => {
    clearTimeout(timer)
    timer = undefined
  }
  return { start, stop, pause: stop, resume: start }
}
