import { z } from 'zod'

/**
 * What DSM answers, as far as it is gone by. What a fence stands on (whether a target is on, who is logged in, whom a share lets in)
 * must be there: a field that was left out would read as "nobody". Synology documents none of it; the field names are those that its CSI
 * driver sends and reads (SynologyOpenSource/synology-csi, pkg/dsm/webapi), the types those that DSM 7 was recorded with.
 */

const text = z.string()
const name = text.min(1)
const bytes = z.number().int().min(0)
/** DSM gives some sizes and limits as decimal strings. */
const decimal = z.union([bytes, text.regex(/^\d+$/)]).transform(Number)
/** A list that was asked for: an empty one may be null, and is never left out. */
const list = <T extends z.ZodType>(of: T) =>
  z
    .array(of)
    .nullable()
    .transform(items => items ?? [])

export const login = z.looseObject({ sid: name, synotoken: text.optional() })

export const lun = z.looseObject({
  uuid: name,
  name,
  size: bytes,
  allocated_size: bytes.optional(),
  description: text.optional(),
  location: text.optional(),
  status: text.optional(),
  is_action_locked: z.boolean().optional(),
  family_config: z.looseObject({ parent_lun_uuid: text.optional() }).nullish(),
  dev_attribs: z.array(z.looseObject({ dev_attrib: text, enable: z.number() })).nullish(),
})
export type DsmLun = z.infer<typeof lun>
export const oneLun = z.looseObject({ lun })
export const luns = z.looseObject({ luns: list(lun) })

export const target = z.looseObject({
  target_id: z.number().int(),
  name,
  iqn: name,
  is_enabled: z.boolean(),
  auth_type: z.number().int(),
  max_sessions: z.number().int(),
  mapped_luns: list(z.looseObject({ lun_uuid: name, mapping_index: z.number().int() })),
  connected_sessions: list(z.looseObject({ iqn: text, ip: text })),
})
export type DsmTarget = z.infer<typeof target>
export const targets = z.looseObject({ targets: list(target) })

export const snapshot = z.looseObject({
  uuid: name,
  name,
  parent_uuid: name,
  description: text.optional(),
  total_size: bytes,
})
export type DsmSnapshot = z.infer<typeof snapshot>
export const snapshots = z.looseObject({ snapshots: list(snapshot) })

export const system = z.looseObject({ model: text })
export const network = z.looseObject({ hostname: text })
export const limits = z.looseObject({
  max_iscsiluns: decimal.default(0),
  max_iscsitrgs: decimal.default(0),
  max_snapshot_per_lun: decimal.default(0),
})
export const volumes = z.looseObject({
  volumes: list(
    z.looseObject({
      volume_path: name,
      fs_type: text.default(''),
      status: text.default(''),
      size_total_byte: decimal,
      size_free_byte: decimal,
    }),
  ),
})

export const share = z
  .looseObject({
    name,
    /** Empty of a disk that is plugged in by USB, which is listed among the shared folders. */
    uuid: text,
    desc: text.optional(),
    vol_path: text.optional(),
    /** Mebibytes; 0 is no quota. */
    quota_value: z.number().min(0).optional(),
    /** Mebibytes, with decimals. */
    share_quota_used: z.number().min(0).optional(),
    support_snapshot: z.boolean().optional(),
  })
  .refine(found => found.uuid !== '' || !isOfDriver(found), { path: ['uuid'], message: 'expected a uuid' })
export type DsmShare = z.infer<typeof share>
export const shares = z.looseObject({ shares: list(share) })

/** Whether the CSI driver made a LUN or a share, by its name: it looks at no others. */
export function isOfDriver(disk: { name?: unknown }): boolean {
  return String(disk.name).startsWith('k8s-csi')
}

/** Beside these a rule says how it is served (asynchronously, by which security): kept as it is. */
export const rule = z.looseObject({ client: text, privilege: z.enum(['rw', 'ro', 'no']) })
export type DsmRule = z.infer<typeof rule>
/** A share that nobody has given a rule has no list of them either. */
export const rules = z.looseObject({ rule: z.array(rule).nullish() })

export const shareSnapshots = z.looseObject({
  snapshots: list(z.looseObject({ time: name, desc: text.optional(), lock: z.boolean().optional() })),
})
