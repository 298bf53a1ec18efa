import { z } from 'zod'
import { fanOut } from '../kit.ts'

/** Every machine of k0sctl.yaml. */
export const eachHost = fanOut({
  name: 'host',
  schema: z.strictObject({ name: z.string(), role: z.string() }),
  key: host => host.name,
  subjects: ({ cluster }) => cluster.k0sctl.hosts.map(({ name, role }) => ({ name, role })),
})
