import { Agent, request } from 'undici'
import { expect } from 'vitest'

// The requests of the real synology-csi 1.2.1, as it was recorded: always GET, keys sorted, form encoding, the session in a
// cookie, no token; values quoted or not exactly as it does. Never closed: the test files of one worker share it, and the labs
// that it leads to close their ends.
export const agent = new Agent({ connect: { rejectUnauthorized: false } })

// biome-ignore lint/suspicious/noExplicitAny: whatever the NAS answers, and tests look into it
export type Json = any

/** One request to a CGI of the NAS at `base`, as the driver sends it, with its session if it has one. */
export async function get(base: string, cgi: string, query: string, sid?: string): Promise<Json> {
  const { body, statusCode, headers } = await request(`${base}/webapi/${cgi}?${query}`, {
    dispatcher: agent,
    headers: { 'user-agent': 'Go-http-client/1.1', ...(sid === undefined ? {} : { cookie: `id=${sid}` }) },
  })
  expect(statusCode).toBe(200)
  expect(headers['set-cookie']).toBeUndefined()
  return body.json()
}

/** The driver's login, once at its start. */
export function login(base: string, password = 'correct+horse+battery'): Promise<Json> {
  return get(
    base,
    'auth.cgi',
    `account=recover&api=SYNO.API.Auth&format=sid&method=login&passwd=${password}&version=3`,
  )
}

/** A text as the driver sends most of them: quoted. */
export function quoted(value: string): string {
  return encodeURIComponent(JSON.stringify(value))
}
