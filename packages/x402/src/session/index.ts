export { RawBodyMissingError } from './errors.js'
export { LocalFacilitator, type LocalFacilitatorOptions } from './localFacilitator.js'
export { facilitatorOpener, ownOpener, type OpeningOutcome, type OpeningWish, type OrderOpener } from './opener.js'
export { workOrderServer, type WorkOrderServerOptions } from './workOrderServer.js'
