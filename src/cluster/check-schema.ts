import { z } from 'zod'
import { duration, fingerprint, path, text } from './schema-texts.ts'

const certificate = fingerprint.describe('SHA-256 of its certificate')
const endpoint = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}$/, 'expected ADDRESS:PORT, an IPv6 address in brackets')

const pattern = text.refine(isPattern, 'expected a regular expression')

function isPattern(source: string): boolean {
  try {
    return new RegExp(source, 'm').source !== ''
  } catch {
    return false
  }
}

const within = duration.optional().describe('How long it may take to come true; 5m by default')

const application = text
  .optional()
  .describe(
    'The Application that it is about: it is asked as soon as that one is well. Found out by its namespace, or by who has an Ingress for its name, where this is absent',
  )

const inPod = z
  .strictObject({
    namespace: text,
    pod: text.optional().describe('Its name'),
    selector: z
      .record(text, text)
      .optional()
      .describe('Labels by which it is found; the first of them that is ready'),
    container: text.optional().describe('The first one by default'),
  })
  .refine(p => (p.pod === undefined) !== (p.selector === undefined), 'needs either a pod or a selector')

const httpCheck = z.strictObject({
  http: z.url().describe('Address that must answer when all is well'),
  status: z.int().optional().describe('Expected status; 200 by default'),
  contains: text.optional().describe('Text that the answer must hold'),
  matches: pattern.optional().describe('Regular expression that must fit somewhere in the answer'),
  headers: z.record(text, text).optional().describe('Headers of the answer and what each must hold'),
  connect: endpoint
    .optional()
    .describe('ADDRESS:PORT to connect to, where the name is served by the cluster itself'),
  tls: z
    .union([
      z.literal('unverified').describe('Whatever certificate it shows: anybody may answer'),
      z.strictObject({ fingerprint: certificate }),
      z.strictObject({ authority: path.describe('Certificate of the authority that signed it, PEM') }),
    ])
    .optional()
    .describe('Whose certificate is believed; the system’s authorities by default'),
  within,
  application,
})

const tcpCheck = z.strictObject({
  tcp: endpoint.describe('ADDRESS:PORT that must take connections'),
  within,
  application,
})

const execCheck = z.strictObject({
  exec: z.array(text).min(1).describe('Program and arguments, run in the container; it must only look'),
  in: inPod,
  exit: z.int().optional().describe('Expected exit code; 0 by default'),
  contains: text.optional().describe('Text that its output must hold'),
  matches: pattern.optional().describe('Regular expression that must fit somewhere in its output'),
  within,
  application,
})

const sqlCheck = z.strictObject({
  sql: text.describe('Query, run in a transaction that can only read'),
  program: z.enum(['psql', 'mariadb']).describe('Client in the container'),
  in: inPod,
  database: text.optional(),
  user: text.optional(),
  password: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable')
    .optional()
    .describe('Environment variable of the container that holds the password, where one is asked for'),
  equals: z.string().optional().describe('Its whole answer: columns apart by | in psql, by a tab in mariadb'),
  matches: pattern.optional().describe('Regular expression that must fit somewhere in its answer'),
  within,
  application,
})

/** One thing that a person would try first. */
export const check = z.union([httpCheck, tcpCheck, execCheck, sqlCheck])

/** A check as recover.yaml has it. */
export type CheckEntry = z.infer<typeof check>
export type HttpCheck = z.infer<typeof httpCheck>
export type ExecCheck = z.infer<typeof execCheck>
export type SqlCheck = z.infer<typeof sqlCheck>
