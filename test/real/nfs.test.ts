import { afterAll, beforeAll, expect, test } from 'vitest'
import { copyFault } from '../../src/volumes/copy-faults.ts'
import {
  copyProgram,
  copyRefusals,
  measureProgram,
  parseCopyProgress,
  parseCopyVerdict,
  parseMeasurement,
} from '../../src/volumes/programs.ts'
import { shareAttributes } from '../../src/volumes/static-volume.ts'
import { run } from './harness/commands.ts'
import { bootLiveMachine, type LiveMachine } from './harness/live-machine.ts'
import { describeReal, place } from './harness/place.ts'

const dsm = '127.0.0.1'
const options = {
  old: 'nfsvers=4.1,ro',
  new: 'nfsvers=4.1',
  three: 'nfsvers=3,nolock,proto=tcp,mountproto=tcp,mountport=20048,port=2049',
  squash: 'nfsvers=4.1',
}
type Share = keyof typeof options
/** Where the NAS itself has a share. */
const onNas = (share: Share) => `/volume1/k8s-csi-${share}`

/** How one program ended. */
interface Ended {
  code: number
  message: string
  log: string
}

describeReal('copies to and from shares of a real NFS server, by the kernel’s own client', () => {
  let live: LiveMachine

  /** Mounts shares as the CSI driver does, by a volume's attributes and mount options, and runs programs one after another. */
  const ask = async (before: string, ...programs: string[]): Promise<Ended[]> => {
    const said = await live.shell(`${before}\n${programs.join('\n')}`, 540_000)
    return said
      .split('\u0001')
      .slice(0, -1)
      .map(end => {
        const [code = '', message = '', log = ''] = end.split('\u0002')
        return { code: Number(code), message, log }
      })
  }
  const copy = (from: string, to: string, more = '') =>
    `RUN=run-1 SRC=${from} DST=${to} PAUSE=1 ${more} job copy`
  const measure = (of: string) => `ln -sfn ${of} /data; job measure`
  const faultOf = ({ code, message }: Ended) =>
    copyFault('photos/library', { exitCode: code, said: message })?.code
  const empty = (share: Share) =>
    `find ${onNas(share)} -mindepth 1 -maxdepth 1 ! -name '#recycle' -exec rm -rf {} +`

  beforeAll(async () => {
    live = await bootLiveMachine('krypton', 15)
    const { login, machine } = live
    const known = '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR'
    const ssh = `ssh -i ${login.file} ${known} core@${machine.address}`
    run('sh', '-c', `${ssh} 'sudo tar -xzf - -C / --keep-directory-symlink' <${place().nfs}`)
    const mounts = Object.entries(options).map(([share, how]) => {
      const name = `k8s-csi-${share}`
      const { baseDir } = shareAttributes({ name, location: '/volume1' }, { dsm, mountPermissions: '' })
      return `mkdir -p /${share}; mount -t nfs -o ${how} ${dsm}:${baseDir} /${share}`
    })
    await live.shell(`${serve}\n${fillOddly}\n${mounts.join('\n')}`, 180_000)
  }, 1_800_000)
  afterAll(() => live?.close())

  test('by NFS 4.1 everything comes along but ACLs and attributes, into a share with the recycle bin that every one has', async () => {
    const [copied, before, after, again] = await ask(
      '',
      copy('/lun', '/new'),
      measure('/lun'),
      measure('/new'),
      // Its verdict was swept away before anybody looked.
      copy('/lun', '/new'),
    )
    expect(copied).toMatchObject({ code: 0 })
    const held = parseMeasurement(before!.message)
    expect(held?.files).toBeGreaterThan(50)
    expect(parseCopyVerdict(copied!.message)).toMatchObject({ files: held?.files, specials: 1 })
    expect(parseMeasurement(after!.message)).toEqual(held)
    expect(parseCopyProgress(copied!.log)).toMatchObject({ files: expect.any(Number) })
    expect(again).toMatchObject({ code: 0, message: copied!.message })
    // Seen on the server's own disk: owners, modes, times, hard links, names and holes; and its own folder is as it was.
    const seen = await live.shell(`cd /lun; ${describeTree}; printf '\\1'
cd ${onNas('new')}; ${describeTree}; printf '\\1'; du -k sparse | cut -f1; cat '#recycle/desktop.ini'`)
    const [there, copy_, own] = seen.split('\u0001')
    expect(copy_).toBe(there)
    const [blocks, bin] = own!.trim().split('\n')
    expect([Number(blocks) < 1000, bin]).toEqual([true, 'bin'])
  })

  test('what is changed on the server is seen by the second pass, also where size and time stay', async () => {
    const [other] = await ask(
      `cd ${onNas('new')}; touch -r photos/7.jpg /tmp/when
printf X | dd of=photos/7.jpg conv=notrunc status=none; touch -r /tmp/when photos/7.jpg`,
      copy('/lun', '/new'),
    )
    expect(other).toMatchObject({ code: copyRefusals.destinationNotOurs })
    const [same] = await ask(`cp -a /lun/photos/7.jpg ${onNas('new')}/photos/7.jpg`, copy('/lun', '/new'))
    expect(same).toMatchObject({ code: 0 })
  })

  test('a copy that is killed in the middle of a file goes on, and what it left is none of the files', async () => {
    const [copied, before, after] = await ask(
      `export RUN=run-1 SRC=/lun DST=/new PAUSE=1 VERDICT=/tmp/killed
halfway() { for part in ${onNas('new')}/.large*; do [ -s "$part" ] && return; done; return 1; }
# What rsync writes reaches the server late and all at once: a copy may be over before that is seen, and is begun again then.
tries=20; until halfway; do
  [ $tries -gt 0 ]; tries=$((tries - 1))
  ${empty('new')}; rm -f /tmp/ended; echo 3 >/proc/sys/vm/drop_caches
  setsid sh -c 'sh /tmp/copy >/tmp/said 2>&1; echo $? >/tmp/ended' </dev/null & pid=$!
  until halfway || [ -s /tmp/ended ]; do :; done
  kill -KILL -$pid 2>/dev/null || true; wait $pid || true
  [ ! -s /tmp/ended ] || grep -qx 0 /tmp/ended || { cat /tmp/said >&2; exit 1; }
done
unset RUN SRC DST PAUSE VERDICT
[ "$(cat /new/.recover-copy)" = run-1 ]`,
      copy('/lun', '/new'),
      measure('/lun'),
      measure('/new'),
    )
    expect(copied).toMatchObject({ code: 0 })
    expect(after!.message).toBe(before!.message)
    const left = `find ${onNas('new')} -name '.recover*' -o -name '.nfs*' -o -name '.large*'`
    expect(await live.shell(left)).toBe('')
  })

  test.for([
    ['a POSIX ACL', 'setfacl -m u:1234:r', 'acls'],
    ['an attribute', 'setfattr -n user.origin -v camera', 'attributes'],
    ['a capability', 'setcap cap_net_raw+ep', 'attributes'],
  ] as const)('by NFS 4.1 %s ends the copy, and is left out where that is said', async ([, give, what]) => {
    const [refused, without] = await ask(
      `${empty('new')}; rm -f /odd/*; cp /bin/true /odd/program; ${give} /odd/program`,
      copy('/odd', '/new'),
      copy('/odd', '/new', `WITHOUT=${what}`),
    )
    expect([refused!.code, faultOf(refused!)]).toEqual([
      copyRefusals.attributesRefused,
      'copy-loses-attributes',
    ])
    expect(without).toMatchObject({ code: 0 })
  })

  test('from a share everything comes that NFS shows, without what the NAS keeps on it for itself', async () => {
    const [copied, before, after] = await ask(
      `cp -a /lun/. ${onNas('old')}/; mkdir ${onNas('old')}/@eaDir; echo index >${onNas('old')}/@eaDir/x
touch -r /lun ${onNas('old')}; mkdir /disk/back`,
      copy('/old', '/disk/back'),
      measure('/old'),
      measure('/disk/back'),
    )
    expect(copied).toMatchObject({ code: 0 })
    expect(after!.message).toBe(before!.message)
    const seen = await live.shell(`cd /lun; ${describeTree}; printf '\\1'; cd /disk/back; ${describeTree}`)
    const [there, back] = seen.split('\u0001')
    expect(back).toBe(there)
  })

  test('by NFS 3 ACLs come along both ways, and attributes do not', async () => {
    const [to, from] = await ask(
      'rm -f /odd/*; cp /bin/true /odd/program; setfacl -m u:1234:r /odd/program; mkdir /disk/acl',
      copy('/odd', '/three'),
      copy('/three', '/disk/acl'),
    )
    expect([to!.code, from!.code]).toEqual([0, 0])
    const acls = await live.shell(`getfacl -cp ${onNas('three')}/program /disk/acl/program`)
    expect(acls.match(/^user:1234:r--/gm)).toHaveLength(2)
    const [refused] = await ask(
      `${empty('three')}; setfattr -n user.origin -v camera /odd/program`,
      copy('/odd', '/three'),
    )
    expect(refused).toMatchObject({ code: copyRefusals.attributesRefused })
  })

  test('a share whose rule makes nobody of root takes nothing, or no owners, and the copy says which', async () => {
    const [closed, open] = await ask(
      '',
      copy('/lun', '/squash'),
      `chmod 0777 ${onNas('squash')}; ${copy('/lun', '/squash')}`,
    )
    expect([faultOf(closed!), closed!.message]).toEqual([
      'copy-fails',
      'nothing can be written to the destination: Permission denied (the NFS rules of a share must make nobody else of root: no mapping)',
    ])
    expect([faultOf(open!), open!.message]).toEqual([
      'copy-incomplete',
      expect.stringMatching(/Operation not permitted/),
    ])
  })
})

/** Type, mode, owner, links, size and time of everything, but of what the NAS keeps for itself. */
const describeTree = `find . ! -path './#recycle*' ! -path './@eaDir*' \\( -type d -printf '%p %y %m %U:%G %T@\\n' -o -printf '%p %y %m %U:%G %n %s %T@ %l\\n' \\) | LC_ALL=C sort`

/**
 * A Linux as the server: shares on one btrfs, as the CSI driver has DSM make them, with DSM's "no mapping" of users but for
 * one; beside them a disk of ext4. Programs are run by `job`.
 */
const serve = `depmod; modprobe -a loop nfsd nfsv3 nfsv4 btrfs ext4
mkdir -p /volume1 /disk
truncate -s 400M /volume1.img; mkfs.btrfs -q /volume1.img; mount -o loop /volume1.img /volume1
truncate -s 300M /disk.img; mkfs.ext4 -q /disk.img; mount -o loop /disk.img /disk
mkdir /disk/lun /disk/odd; ln -s /disk/lun /lun; ln -s /disk/odd /odd
mkdir -p /var/lib/nfs/v4recovery /run/rpcbind; : >/var/lib/nfs/etab; : >/var/lib/nfs/rmtab
n=0; for share in ${Object.keys(options).join(' ')}; do
  n=$((n + 1)); at=/volume1/k8s-csi-$share; map=no_root_squash; [ $share != squash ] || map=root_squash
  btrfs -q subvolume create $at; mkdir "$at/#recycle"; echo bin >"$at/#recycle/desktop.ini"
  echo "$at 127.0.0.1(rw,async,insecure,no_subtree_check,crossmnt,fsid=$n,sec=sys,$map,anonuid=1025,anongid=100)"
done >/etc/exports
printf '%s\\n' 'sunrpc 111/tcp' 'sunrpc 111/udp' 'nfs 2049/tcp' 'nfs 2049/udp' >>/etc/services
printf '%s\\n' 'tcp 6 TCP' 'udp 17 UDP' >>/etc/protocols
echo '_rpc:x:980:65534::/run/rpcbind:/usr/sbin/nologin' >>/etc/passwd
mount -t nfsd nfsd /proc/fs/nfsd
echo 10 >/proc/fs/nfsd/nfsv4gracetime; echo 10 >/proc/fs/nfsd/nfsv4leasetime
rpcbind; exportfs -ra; rpc.nfsd 4; rpc.mountd -p 20048
echo Y >/proc/fs/nfsd/v4_end_grace || true
cat >/tmp/copy <<'PROGRAM'
${copyProgram}
PROGRAM
cat >/tmp/measure <<'PROGRAM'
${measureProgram}
PROGRAM
cat >/usr/bin/job <<'PROGRAM'
#!/bin/sh
rm -f /dev/termination-log
sh /tmp/$1 </dev/null >/tmp/said 2>&1
printf '%s\\002' $?; cat /dev/termination-log; printf '\\002'; cat /tmp/said; printf '\\001'
PROGRAM
chmod 755 /usr/bin/job`

/** What copies tend to lose, but for ACLs and attributes. */
const fillOddly = `cd /lun; mkdir photos 'with blanks  in it'
i=0; while [ $i -lt 50 ]; do seq $((i * 400)) >photos/$i.jpg; i=$((i + 1)); done
printf odd >'a name with
a new line, “quotes” and \\\\ in it'; printf x >"$(printf 'latin1-\\351')"; printf y >'./-rf'; printf z >'*'
ln photos/1.jpg 'the same picture'; ln -s photos/2.jpg 'a link'; ln -s nowhere dangling; mkfifo 'a pipe'
truncate -s 64M sparse; head -c 24M /dev/urandom >large
chown 1000:2000 photos/5.jpg; chmod 4750 photos/6.jpg; chown -h 1000:1000 'a link'; chmod 700 photos; chown 999:999 photos
touch -d '2001-02-03 04:05:06.789' photos/8.jpg; touch -d '2002-03-04' .`
