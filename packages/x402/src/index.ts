// sell
export * from './sell/index.js'
// ---- buy ----
export type { AccountOptions } from './buy/account.js'
export type { Closing } from './buy/closing.js'
export {
  AnswerRefusedError,
  FundsMissingError,
  HostBlockedError,
  OfferRefusedError,
  PaymentRefusedError,
  PaymentUncertainError,
  RequestUnknownError,
  SpendLimitError,
} from './buy/errors.js'
export { payFetch, type PayFetchOptions, type PayingFetch } from './buy/payFetch.js'
export { withRequest } from './buy/withRequest.js'
export { workOrderClient, type WorkOrderClient } from './buy/workOrderClient.js'
export { RawBodyMissingError } from './session/errors.js'
export { LocalFacilitator, type LocalFacilitatorOptions } from './session/localFacilitator.js'
export {
  facilitatorOpener,
  ownOpener,
  type OpeningOutcome,
  type OpeningWish,
  type OrderOpener,
} from './session/opener.js'
export { workOrderServer, type WorkOrderServerOptions } from './session/workOrderServer.js'
// ---- end of buy ----
