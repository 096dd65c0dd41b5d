export type { AccountOptions } from './account.js'
export type { Closing } from './closing.js'
export {
  AnswerRefusedError,
  FundsMissingError,
  ClosedError,
  HostBlockedError,
  OfferRefusedError,
  OrderNotOpenedError,
  OrdersUsedUpError,
  PaymentRefusedError,
  PaymentUncertainError,
  RequestUnknownError,
  SpendLimitError,
} from './errors.js'
export { payFetch, type PayFetchOptions, type PayingFetch } from './payFetch.js'
export { withRequest } from './withRequest.js'
export { workOrderClient, type WorkOrderClient } from './workOrderClient.js'
