import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Bmc, type Reply, save } from './bmc.ts'
import { missing, Refused } from './refusals.ts'
import { link, type Resource, sessions } from './resources.ts'

/** Opens a session for whoever knows name and password. */
export function logIn(bmc: Bmc, body: Resource): Reply {
  const wrong = bmc.world.suffers('bmc-password-refused', bmc.name)
  if (wrong || body.UserName !== bmc.account.account || body.Password !== bmc.account.password)
    throw new Refused(
      401,
      'Base.1.15.ResourceAtUriUnauthorized',
      'While accessing the resource, the service received an authorization error: invalid username or password.',
    )
  if (bmc.world.suffers('bmc-sessions-full', bmc.name))
    throw new Refused(
      400,
      'Base.1.15.SessionLimitExceeded',
      'The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.',
    )
  const id = randomBytes(4).toString('hex')
  const token = randomBytes(16).toString('hex')
  bmc.state.sessions[id] = token
  save(bmc)
  const location = `${sessions}/${id}`
  return {
    status: 201,
    headers: { 'x-auth-token': token, location },
    body: {
      ...link(location),
      '@odata.type': '#Session.v1_5_0.Session',
      Id: id,
      Name: 'User Session',
      UserName: bmc.account.account,
    },
  }
}

/** Ends a session. */
export function logOut(bmc: Bmc, path: string): Reply {
  const id = path.slice(sessions.length + 1)
  if (!path.startsWith(`${sessions}/`) || !bmc.state.sessions[id]) throw missing(path)
  delete bmc.state.sessions[id]
  save(bmc)
  return { status: 204 }
}

/** Whether a request has a session that is still open, or name and password with it. */
export function mayEnter(bmc: Bmc, request: IncomingMessage): boolean {
  if (bmc.world.suffers('bmc-password-refused', bmc.name)) return false
  const token = request.headers['x-auth-token']
  if (token !== undefined) {
    if (!bmc.world.strikes('bmc-session-expires', bmc.name))
      return Object.values(bmc.state.sessions).includes(String(token))
    bmc.state.sessions = {}
    save(bmc)
    return false
  }
  const { account, password } = bmc.account
  const basic = `Basic ${Buffer.from(`${account}:${password}`).toString('base64')}`
  return request.headers.authorization === basic
}
