import { startCluster } from './cluster.ts'
import { keepsTheContract } from './contract/contract.ts'

keepsTheContract('the lab’s API server', () => startCluster())
