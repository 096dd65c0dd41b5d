import { decodePaymentRequiredHeader, decodePaymentResponseHeader, encodePaymentSignatureHeader } from '@x402/core/http'
import type { PaymentPayload, PaymentRequired, SettleResponse } from '@x402/core/types'
import { UptoEvmScheme } from '@x402/evm/upto/client'
import { wrapFetchWithPayment, x402Client } from '@x402/fetch'
import type { Wallet } from 'ethers'

export const JSON_TYPE = { 'content-type': 'application/json' }

/** x402's own client with its own `upto` scheme, as anybody sets it up, but for the token: OPG is none of its defaults. */
export function stockClient(payer: Wallet, options: { readonly rpcUrl?: string } = {}): x402Client {
  const signer = {
    address: payer.address as `0x${string}`,
    signTypedData: async (message: {
      domain: Record<string, unknown>
      types: Record<string, unknown>
      message: Record<string, unknown>
    }): Promise<`0x${string}`> => {
      const { EIP712Domain: _, ...types } = message.types as Record<string, { name: string; type: string }[]>
      return (await payer.signTypedData(message.domain, types, message.message)) as `0x${string}`
    },
  }
  return new x402Client()
    .register('eip155:31337', new UptoEvmScheme(signer, options))
    .setSpendControls({ allowedAssets: true })
}

/** Pays with unmodified `@x402/fetch`. Keeps the headers that it sent. With an RPC it approves Permit2 where it must. */
export function stockFetch(
  payer: Wallet,
  options: { readonly rpcUrl?: string } = {},
): { readonly fetch: typeof fetch; readonly sent: string[] } {
  const sent: string[] = []
  const spying: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    const header = request.headers.get('payment-signature')
    if (header !== null) sent.push(header)
    return fetch(request)
  }
  return { fetch: wrapFetchWithPayment(spying, stockClient(payer, options)), sent }
}

/** A first request, unpaid: what the seller asks for. */
export async function askFor(url: string, body: unknown): Promise<PaymentRequired> {
  const response = await fetch(url, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) })
  await response.text()
  return decodePaymentRequiredHeader(response.headers.get('payment-required') ?? '')
}

/** What a stock client pays for a request with, not yet sent. */
export async function signPayment(payer: Wallet, url: string, body: unknown): Promise<PaymentPayload> {
  return stockClient(payer).createPaymentPayload(await askFor(url, body))
}

/** Sends a request with this payment. */
export function pay(
  url: string,
  body: unknown,
  payment: PaymentPayload | string,
  init: RequestInit = {},
): Promise<Response> {
  const header = typeof payment === 'string' ? payment : encodePaymentSignatureHeader(payment)
  const headers = { ...JSON_TYPE, 'payment-signature': header }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body), ...init })
}

/** Status and error code of an answer, or the status alone. */
export async function verdict(response: Response): Promise<string> {
  const text = await response.text()
  const error = text.startsWith('{')
    ? (JSON.parse(text) as { readonly error?: { readonly code: string } }).error
    : undefined
  return [response.status, error?.code].join(' ').trim()
}

export function settledOf(response: Response): SettleResponse {
  return decodePaymentResponseHeader(response.headers.get('payment-response') ?? '')
}
