/** A fault that a person asked for. */
export interface ArmedFault {
  name: string
  target?: string
}

/** Faults of the lab, in the words of the person who wants to see them. */
export interface LabFault {
  name: string
  /** What the part after the colon means. */
  target: string
  /** It makes no sense without one. */
  needsTarget?: true
  /** How often it strikes; very often means until healed. */
  strikes: number
  explains: string
}

const lasting = 1_000_000

export const faults: LabFault[] = [
  {
    name: 'host-dies-during-install',
    target: 'host',
    strikes: 1,
    explains:
      'The machine goes dark with its disk half written. The run stops there; `resume` asks for the stick and writes it again.',
  },
  {
    name: 'wrong-disk',
    target: 'host',
    strikes: lasting,
    explains: 'The machine shows another disk than the one that was named. Nothing is written to it, ever.',
  },
  {
    name: 'host-key-differs',
    target: 'host',
    strikes: 1,
    explains: 'The new system comes up with a host key that is not ours. The run stops rather than trust it.',
  },
  {
    name: 'old-os-returns',
    target: 'host',
    strikes: 1,
    explains: 'After the installation the old system boots again. It is not taken for the new one.',
  },
  {
    name: 'kexec-hangs',
    target: 'host',
    strikes: 1,
    explains:
      'The machine goes over to the installer by kexec and is never heard of again. The next way to install is tried.',
  },
  {
    name: 'network-boots-first',
    target: 'host',
    strikes: lasting,
    explains:
      'The firmware tries the network first at every boot. Once the installer is there nobody answers it any more, and it boots its disk.',
  },
  {
    name: 'bmc-ignores-boot-once',
    target: 'host',
    strikes: lasting,
    explains:
      'The BMC takes the order to boot once from elsewhere, and the machine boots its disk all the same. The next way to install is tried.',
  },
  {
    name: 'bmc-away',
    target: 'host',
    strikes: lasting,
    explains: 'The BMC does not answer. Preflight says so, and the next way to install is tried.',
  },
  {
    name: 'bmc-password-refused',
    target: 'host',
    strikes: lasting,
    explains:
      'The BMC refuses the password, which is not tried again and again. Preflight says so, and the next way to install is tried.',
  },
  {
    name: 'bmc-says-on',
    target: 'host',
    strikes: lasting,
    explains:
      'The BMC says that the machine is on, whatever it is. The machine is not taken for what its BMC says of it.',
  },
  {
    name: 'bmc-says-off',
    target: 'host',
    strikes: lasting,
    explains:
      'The BMC says that the machine is off, whatever it is. A machine that answers is worked with all the same.',
  },
  {
    name: 'media-refused',
    target: 'host',
    strikes: lasting,
    explains: 'The BMC has no license for its virtual drive. The next way to install is tried.',
  },
  {
    name: 'ssh-throttled',
    target: 'host',
    strikes: 3,
    explains:
      'The machine drops connections before the handshake, as a rate limit does. Attempts slow down and get through.',
  },
  {
    name: 'no-room-for-image',
    target: 'host',
    strikes: lasting,
    explains:
      'The machine has too little memory to hold the image. The run stops before it is sent, and says what would help.',
  },
  {
    name: 'no-rsync-on-host',
    target: 'host',
    strikes: lasting,
    explains:
      'The machine has no rsync. A copy on a host (host-copy) is refused before anything is made on the NAS for it, and says what would help.',
  },
  {
    name: 'nas-session-expires',
    target: 'nas',
    strikes: 1,
    explains: 'The NAS forgets our login in the middle. We log in once more and go on.',
  },
  {
    name: 'nas-full',
    target: 'nas',
    strikes: lasting,
    explains: 'The NAS has no room for clones. The run stops and says so.',
  },
  {
    name: 'nas-reply-lost',
    target: 'method of the NAS, such as take_snapshot',
    strikes: 1,
    explains:
      'The NAS does what it is told and its answer is lost. It is looked for by name before it is ordered again.',
  },
  {
    name: 'nas-reboots',
    target: 'nas',
    strikes: 3,
    explains:
      'The NAS drops every connection for a while and has forgotten our login. Requests are repeated.',
  },
  {
    name: 'nas-fills-up',
    target: 'namespace/claim',
    strikes: 1,
    explains:
      'The NAS fills up while the claim’s files are copied, and has no room for anybody from then on. The run stops; `resume` goes on with the copy.',
  },
  {
    name: 'nas-restarts',
    target: 'namespace/claim',
    strikes: 1,
    explains:
      'The NAS starts again while the claim’s files are copied: logins and iSCSI sessions are gone, and the copy fails half way. `resume` goes on with it.',
  },
  {
    name: 'nas-limit-reached',
    target: 'nas',
    strikes: lasting,
    explains:
      'The NAS takes no more targets. The clone that it made already is found by its name when the run goes on.',
  },
  {
    name: 'zombie-host',
    target: 'host',
    strikes: lasting,
    explains:
      'An old machine stays logged in to its disk although it was fenced. Nothing is written until it is off.',
  },
  {
    name: 'forgotten-machine',
    target: 'namespace/claim',
    needsTarget: true,
    strikes: lasting,
    explains:
      'A machine that stands in no file logs in to the claim’s old disk as soon as its target is on. The target is switched off again and nothing is written.',
  },
  {
    name: 'disk-made-anew',
    target: 'namespace/claim',
    needsTarget: true,
    strikes: lasting,
    explains:
      'Once the claim’s application runs, somebody has a new, empty disk made under the claim’s name, as an operator that begins anew would. The run stops within seconds; the old disk is untouched.',
  },
  {
    name: 'api-away',
    target: 'kubernetes',
    strikes: 12,
    explains: 'The Kubernetes API drops its connections for a while. Requests are repeated until it is back.',
  },
  {
    name: 'api-throttled',
    target: 'kubernetes',
    strikes: 3,
    explains: 'The Kubernetes API asks to come again a second later. Requests wait as long as it says.',
  },
  {
    name: 'kubeconfig-expired',
    target: 'kubernetes',
    strikes: 1,
    explains:
      'The Kubernetes API no longer knows our kubeconfig. It is fetched from the controller again, and the request repeated.',
  },
  {
    name: 'k0sctl-fails-half-way',
    target: 'host',
    strikes: 1,
    explains:
      'k0s is installed on the machine, and its service does not start. k0sctl takes back what it did; the next one goes on.',
  },
  {
    name: 'k0sctl-hangs',
    target: 'host',
    strikes: 1,
    explains:
      'k0sctl waits for ever for an answer of the machine. It is ended, and the run stops; `resume` starts the service that was installed.',
  },
  {
    name: 'k0sctl-killed',
    target: 'host',
    strikes: 1,
    explains:
      'k0sctl is killed in the middle of its upload to the machine. The run stops; `resume` removes what is left of the upload and goes on.',
  },
  {
    name: 'k0s-restore-killed',
    target: 'host',
    strikes: 1,
    explains:
      'k0sctl is killed while it restores the control plane from an archive (where recover.yaml names one). The run stops; `resume` removes what was restored and restores again.',
  },
  {
    name: 'workloads-return',
    target: 'nothing',
    strikes: lasting,
    explains:
      'What ran in the cluster whose archive is restored comes back with it and starts at once (where recover.yaml names one). The run holds it, and stops before a disk is bound; scaled to no replicas, `resume` goes on.',
  },
  {
    name: 'k0s-left-running',
    target: 'host',
    strikes: lasting,
    explains:
      'k0sctl’s clean-up takes service and data from under a control plane that goes on running. The run stops until the machine has been rebooted.',
  },
  {
    name: 'clock-skew',
    target: 'host',
    strikes: lasting,
    explains:
      'The machine’s clock is 45 seconds ahead. The run stops before k0sctl does, and says how to set it.',
  },
  {
    name: 'old-control-plane',
    target: 'host',
    strikes: lasting,
    explains:
      'The machine still carries a control plane’s data after it was installed. It is neither joined nor wiped; the run stops.',
  },
  {
    name: 'other-cluster-answers',
    target: 'host',
    strikes: lasting,
    explains: 'Another cluster answers at the API’s address. Its kubeconfig is not taken; the run stops.',
  },
  {
    name: 'worker-cannot-reach-api',
    target: 'host',
    strikes: lasting,
    explains:
      'The machine cannot reach the API, and so could not join. The run stops before k0sctl waits for it.',
  },
  {
    name: 'application-never-healthy',
    target: 'namespace of the application',
    needsTarget: true,
    strikes: lasting,
    explains:
      'The application’s pods crash again and again. The run stops there and says so; its data is in place.',
  },
  {
    name: 'application-degraded',
    target: 'namespace of the application',
    needsTarget: true,
    strikes: lasting,
    explains:
      'The application’s pods crash until Kubernetes gives their rollout up. The other applications are released; this one’s cause is told.',
  },
  {
    name: 'application-hook-fails',
    target: 'name of the application',
    needsTarget: true,
    strikes: lasting,
    explains:
      'A Job that must run before the application’s sync fails (one is made up where Git has none). It is run again a few times, then told.',
  },
  {
    name: 'application-not-rendered',
    target: 'name of the application',
    needsTarget: true,
    strikes: lasting,
    explains:
      'Argo CD cannot render the application. It is asked to try again a few times; the other applications are released.',
  },
  {
    name: 'application-out-of-sync',
    target: 'name of the application',
    needsTarget: true,
    strikes: lasting,
    explains:
      'Somebody changes an object of the application back, whatever Argo CD does. It is told; the other applications are released.',
  },
  {
    name: 'onepassword-rate-limited',
    target: 'name of the OnePasswordItem',
    strikes: lasting,
    explains:
      '1Password’s operator says nothing about its items, as when it is rate-limited. The run stops and says when to go on.',
  },
  {
    name: 'onepassword-token-refused',
    target: 'onepassword',
    strikes: lasting,
    explains:
      '1Password no longer takes the token of its operator. The run stops and says that it is the token, not a limit.',
  },
]
