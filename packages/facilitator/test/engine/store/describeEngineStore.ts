import type { BooksFactory } from './books.js'
import { describeClosings } from './describeClosings.js'
import { describeIntake } from './describeIntake.js'
import { describeLanes } from './describeLanes.js'
import { describeLimits } from './describeLimits.js'
import { describeTransactions } from './describeTransactions.js'

/** What the books of an engine must do, whatever database they are in. */
export function describeEngineStore(name: string, create: () => Promise<BooksFactory>): void {
  for (const suite of [describeIntake, describeLimits, describeLanes, describeTransactions, describeClosings])
    suite(name, create)
}
