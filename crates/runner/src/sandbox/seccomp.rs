//! The filter of system calls, the same for every sandbox.
//!
//! Everything is allowed but what serves to leave: new namespaces, mounts, other processes' memory,
//! the kernel's larger attack surfaces. Two answers: EPERM, and ENOSYS where programs have a way of
//! their own round a missing call (`clone3`, whose flags a filter cannot read). Calls of another
//! word size are refused as a whole: on `x86_64` the x32 numbers share the architecture's name.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// The programs, as bytes that `bwrap --add-seccomp-fd` reads.
///
/// # Errors
/// The architecture is not one that the filter knows.
pub(super) fn programs() -> Result<Vec<Vec<u8>>, String> {
    Ok(filters()?.iter().map(|program| bytes(program)).collect())
}

/// Puts the calling thread, and all that it starts, behind the filter.
///
/// # Errors
/// The kernel has no filters, or the architecture is not one that the filter knows.
pub(super) fn apply() -> Result<(), String> {
    for program in filters()? {
        seccompiler::apply_filter(&program).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn filters() -> Result<Vec<BpfProgram>, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| e.to_string())?;
    let mut programs = vec![
        compile(refused(), libc::EPERM, arch)?,
        compile(whole(ABSENT), libc::ENOSYS, arch)?,
        compile(sockets(), libc::EAFNOSUPPORT, arch)?,
    ];
    if cfg!(target_arch = "x86_64") {
        programs.push(no_x32());
    }
    Ok(programs)
}

/// Refused whatever the arguments.
const REFUSED: &[i64] = &[
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_vhangup,
];

/// Answered as if the kernel did not have them.
const ABSENT: &[i64] = &[libc::SYS_clone3];

/// Every flag of `clone` and `unshare` that makes a namespace.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];
/// `unshare` only; in `clone` this bit is part of the exit signal.
const CLONE_NEWTIME: i32 = 0x80;

/// Pushing characters into a terminal, and its clipboard.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541C;

/// Address families with a use in an empty network namespace.
const FAMILIES: &[i32] = &[
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn refused() -> Result<Rules, String> {
    let mut rules = whole(REFUSED)?;
    let flag = |flag: i32| {
        let bits = u64::from(flag.unsigned_abs());
        rule(&[(0, SeccompCmpOp::MaskedEq(bits), bits)])
    };
    let cloned = NAMESPACES
        .iter()
        .map(|f| flag(*f))
        .collect::<Result<Vec<_>, _>>()?;
    let mut unshared = cloned.clone();
    unshared.push(flag(CLONE_NEWTIME)?);
    rules.insert(libc::SYS_clone, cloned);
    rules.insert(libc::SYS_unshare, unshared);
    rules.insert(
        libc::SYS_ioctl,
        vec![
            rule(&[(1, SeccompCmpOp::Eq, TIOCSTI)])?,
            rule(&[(1, SeccompCmpOp::Eq, TIOCLINUX)])?,
        ],
    );
    Ok(rules)
}

fn sockets() -> Result<Rules, String> {
    let others: Vec<_> = FAMILIES
        .iter()
        .map(|family| (0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())))
        .collect();
    let rules = vec![rule(&others)?];
    Ok(BTreeMap::from([
        (libc::SYS_socket, rules.clone()),
        (libc::SYS_socketpair, rules),
    ]))
}

fn whole(calls: &[i64]) -> Result<Rules, String> {
    Ok(calls.iter().map(|call| (*call, Vec::new())).collect())
}

/// All conditions (argument, comparison, value) hold; arguments are compared as 32 bits, which is
/// what the kernel reads of each of them.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, String> {
    let conditions = conditions
        .iter()
        .map(|(argument, operator, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    SeccompRule::new(conditions).map_err(|e| e.to_string())
}

fn compile(
    rules: Result<Rules, String>,
    errno: i32,
    arch: TargetArch,
) -> Result<BpfProgram, String> {
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules?, SeccompAction::Allow, answer, arch)
        .map_err(|e| e.to_string())?;
    BpfProgram::try_from(filter).map_err(|e| e.to_string())
}

/// Refuses every call whose number has the x32 bit.
fn no_x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let line = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let (load, at_least, answer) = (0x20, 0x35, 0x06);
    vec![
        line(load, 0, 0, 0),
        line(at_least, 0, 1, X32),
        line(
            answer,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        ),
        line(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for line in program {
        bytes.extend(line.code.to_ne_bytes());
        bytes.extend([line.jt, line.jf]);
        bytes.extend(line.k.to_ne_bytes());
    }
    bytes
}
