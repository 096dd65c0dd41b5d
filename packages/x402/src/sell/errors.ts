/** A seller cannot be set up so. `setting` names the option. */
export class SellerSettingError extends Error {
  readonly code = 'SELLER_SETTING_INVALID'
  readonly setting: string

  constructor(setting: string, input: { readonly expected: string; readonly found: string }) {
    super(`${setting} must be ${input.expected}, but it is ${input.found}.`)
    this.name = 'SellerSettingError'
    this.setting = setting
  }
}

/** The outbox could not keep what must not be lost. Nothing was asked of the facilitator. */
export class OutboxError extends Error {
  readonly code = 'OUTBOX_FAILED'

  constructor(path: string, { cause }: { readonly cause: unknown }) {
    super(`The outbox ${path} could not be written or read. Check its disk and permissions.`, { cause })
    this.name = 'OutboxError'
  }
}

/** No payment goes through here: whoever calls must send the x402 answer instead. */
export class SaleRefusedError extends Error {
  readonly code = 'SALE_REFUSED'
  /** As it stands in `errorReason`. */
  readonly reason: string

  constructor(reason: string, message: string) {
    super(message)
    this.name = 'SaleRefusedError'
    this.reason = reason
  }
}
