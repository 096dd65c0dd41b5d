import { InferenceEscrow__factory } from '@opg/bindings'
import { waitForReceipt } from '@opg/payer'
import { isError, type ContractTransactionResponse, type Signer } from 'ethers'
import { SellerSettingError } from './errors.js'
import type { Offered } from './offered.js'

/**
 * Pays the node's credit out to its own address, by a transaction of whoever has gas for it. Returns what was paid, in
 * base units; sends nothing where there is nothing.
 *
 * @throws {SellerSettingError} if the sender cannot pay the gas
 */
export async function claimCredit(
  { escrow, offer }: Pick<Offered, 'escrow' | 'offer'>,
  sender: Signer,
): Promise<bigint> {
  const { node } = offer.terms
  const contract = InferenceEscrow__factory.connect(escrow, sender)
  if ((await contract.credits(node)) === 0n) return 0n
  const { logs } = await waitForReceipt(await paidBy(sender, () => contract.claim(node)))
  // Somebody else's claim may have come first: then the transaction paid nothing, and says nothing.
  const paid = logs
    .filter(({ address }) => address.toLowerCase() === escrow.toLowerCase())
    .map((log) => contract.interface.parseLog(log))
    .find((event) => event?.name === 'Claimed')
  return paid === undefined || paid === null ? 0n : (paid.args.getValue('amount') as bigint)
}

async function paidBy(
  sender: Signer,
  send: () => Promise<ContractTransactionResponse>,
): Promise<ContractTransactionResponse> {
  try {
    return await send()
  } catch (error) {
    if (!isError(error, 'INSUFFICIENT_FUNDS')) throw error
    const expected = 'an account that owns the native coin for the gas'
    throw new SellerSettingError('sender', { expected, found: `${await sender.getAddress()}, which has too little` })
  }
}
