import { checkedAnswer } from './answers.js'
import { contextOf, withContext } from './requestContext.js'

const MAX_ANSWER_BYTES = 2 ** 24

/**
 * Lets a stock x402 client pay by `work-order`: `withRequest(wrapFetchWithPayment(fetch, client))`. It tells the scheme
 * which request is paid for, and checks the answer against its receipt.
 */
export function withRequest(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    request.headers.set('accept-encoding', 'identity') // receipts cover the bytes as the seller made them
    const context = await contextOf(request.clone())
    try {
      const response = await withContext(context, () => fetch(request))
      const { payment } = context
      if (payment === undefined) return response
      if (response.ok) {
        const onFailure = (): Promise<void> => Promise.resolve()
        return await checkedAnswer(response, {
          host: context.host,
          payment,
          maxAnswerBytes: MAX_ANSWER_BYTES,
          onFailure,
        })
      }
      await payment.refuse()
      payment.end()
      return response
    } catch (error) {
      context.payment?.end()
      throw error
    }
  }
}
