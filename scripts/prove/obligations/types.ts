import type { Subject } from '../subject.js'
import type { Encoding } from '../yul/smt.js'
import type { Term } from '../yul/terms.js'

/** Something that the escrow's code must do for all inputs. */
export interface Obligation {
  readonly name: string
  readonly guarantees: string
  readonly says: string
  readonly encoding: Encoding
  /** What must be impossible, and what must be possible: a law about no input at all would prove nothing. */
  readonly claim: (subject: Subject) => { readonly never: Term; readonly possible: Term }
}
