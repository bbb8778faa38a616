/** mqtt.js against a server: `node src/main.js '<where the server is, as JSON>'`. */

import * as cases from './cases.js';
import * as cases5 from './cases5.js';
import { run, world } from './driver.js';

const { aServerKilledInMidFlowLosesNothing, ...others } = cases;
await run({ ...others, ...(world.version === 5 ? cases5 : {}), aServerKilledInMidFlowLosesNothing });
