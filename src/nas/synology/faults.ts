import { type Blame, Fault } from '../../runbook/fault.ts'
import { dsmCodes, shareCodes } from './codes.ts'

/** DSM refused a call. `dsm` is its own number. */
export class DsmFault extends Fault {
  readonly dsm: number
  constructor(url: string, what: string, dsm: number) {
    const known =
      (/^SYNO\.Core\.(?:Share|FileServ)\b/.test(what) ? shareCodes[dsm] : undefined) ?? dsmCodes[dsm]
    super({
      ...refusal(
        `the NAS at ${url} refused ${what}: ${known?.meaning ?? 'it does not say why'} (DSM code ${dsm})`,
        dsm,
      ),
      transient: known?.transient ?? false,
    })
    this.dsm = dsm
  }
}

/** Who can mend a refusal, and how: room and limits are a person's to decide on, the rest is for the NAS's own log. */
function refusal(
  refused: string,
  dsm: number,
): { code: string; blame: Blame; message: string; remedy: string } {
  switch (dsm) {
    case 3320:
    case 18990002:
      return {
        code: 'nas-full',
        blame: 'operator',
        message: refused,
        remedy:
          'Free space on the NAS’s volume (old snapshots, deleted LUNs that are still being reclaimed), then run `recover resume`',
      }
    case 18990541:
    case 18990542:
      return {
        code: 'nas-limit-reached',
        blame: 'operator',
        message: refused,
        remedy:
          'Delete LUNs and targets that nobody needs, on purpose and by hand (SAN Manager), then run `recover resume`',
      }
    case 3309:
      return {
        code: 'nas-limit-reached',
        blame: 'operator',
        message: refused,
        remedy:
          'Delete shared folders that nobody needs, on purpose and by hand (Control Panel), then run `recover resume`',
      }
    case 18990543:
      return {
        code: 'nas-snapshots-full',
        blame: 'operator',
        message: refused,
        remedy: 'Delete a snapshot that nobody needs in SAN Manager, then run `recover resume`',
      }
    default:
      return {
        code: 'nas-refused',
        blame: 'host',
        message: refused,
        remedy: 'Look at the NAS’s own log; when it is mended, run `recover resume`',
      }
  }
}

const notRepeated =
  'It is not tried again by itself: after a few failures the NAS blocks this address, and the CSI driver’s with it'

/** Why DSM does not let an account in. Each reason is mended elsewhere, and none passes by itself. */
export function loginFault(url: string, dsm: number): Fault {
  const refused = `the NAS at ${url} refused our login: ${dsmCodes[dsm]?.meaning ?? 'it does not say why'} (DSM code ${dsm})`
  switch (dsm) {
    case 401:
      return new Fault({
        code: 'nas-account-disabled',
        blame: 'operator',
        message: refused,
        remedy: 'Enable the account in DSM (Control Panel, User & Group), or name the secret of another one',
      })
    case 402:
      return new Fault({
        code: 'nas-account-not-administrator',
        blame: 'operator',
        message: refused,
        remedy: 'Add the account to the group administrators; DSM lets nobody else manage LUNs',
      })
    case 403:
    case 404:
    case 406:
      return new Fault({
        code: 'nas-wants-one-time-password',
        blame: 'operator',
        message: refused,
        remedy:
          'Use an account without 2-factor authentication, as the CSI driver has to: a recovery logs in again by itself, when nobody is there to type a code',
      })
    case 407:
      return new Fault({
        code: 'nas-blocks-address',
        blame: 'operator',
        message: refused,
        remedy:
          'Take this computer’s address off the list in DSM (Control Panel, Security, Protection, Auto Block), and find out who failed to log in from it',
      })
    case 408:
    case 409:
    case 410:
      return new Fault({
        code: 'nas-password-expired',
        blame: 'operator',
        message: refused,
        remedy: 'Log in to DSM once by hand, set a new password and put it where the secret is kept',
      })
    default:
      return new Fault({
        code: 'nas-login-refused',
        blame: 'operator',
        message: refused,
        remedy: `Check the account and its password. ${notRepeated}`,
      })
  }
}

/** Nobody answers, or not as DSM does. It passes by itself while a NAS starts again. */
export function unreachable(url: string, cause: unknown): Fault {
  return new Fault({
    code: 'nas-unreachable',
    blame: 'network',
    message: `the NAS at ${url} does not answer`,
    remedy: 'Check that it is switched on and reachable from here, then run `recover resume`',
    cause,
    transient: true,
  })
}

/** What answers is no DSM, or not yet: a NAS that starts shows a page to whoever asks. */
export function notDsm(url: string): Fault {
  return new Fault({
    code: 'nas-unreachable',
    blame: 'network',
    message: `what answers at ${url} does not speak as DSM’s Web API does`,
    remedy:
      'Check that this is the address and port of DSM itself, and that the NAS has started, then run `recover resume`',
    transient: true,
  })
}

/** DSM answers in another form than is known; what a recovery would go by is not guessed. */
export function answerUnknown(url: string, what: string, wrong: string): Fault {
  return new Fault({
    code: 'nas-answer-unknown',
    blame: 'host',
    message: `the NAS at ${url} answered ${what} in a form that recover does not know: ${wrong}`,
    remedy:
      'This DSM is of a version that recover was not made for: `recover nas inspect --record FOLDER` keeps its answers there, without your names; report it with them. Until then the volumes are to be brought back by hand (`recover runbook`)',
  })
}

/** Another server than the one that was trusted; both fingerprints are told. */
export function certificateChanged(url: string, trusted: string, seen: string): Fault {
  return new Fault({
    code: 'nas-certificate-changed',
    blame: 'operator',
    message: `what answers at ${url} shows the certificate ${seen}, not ${trusted}; nothing was sent to it`,
    remedy:
      'If you renewed the NAS’s certificate, put the new fingerprint into recover.yaml (nas.fingerprint); if not, something else answers at that address',
  })
}
