//! Kernels that refuse things, as container engines make them do.

/// From here on the calling thread, and those that it starts, get `error` for one system call; with an
/// argument, only where the call's first one is that.
pub(crate) fn refuse(call: libc::c_long, first_argument: Option<i32>, error: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    /// Where `seccomp_data` has the lower half of the first argument.
    const FIRST_ARGUMENT: u32 = 16;
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let allow = step(RETURN, 0, libc::SECCOMP_RET_ALLOW);
    let deny = step(RETURN, 0, libc::SECCOMP_RET_ERRNO | error as u32);
    // What is equal goes on with the next step, anything else to the last.
    let mut steps = vec![step(LOAD, 0, 0)];
    match first_argument {
        None => steps.push(step(JUMP_IF_EQUAL, 1, call as u32)),
        Some(argument) => steps.extend([
            step(JUMP_IF_EQUAL, 3, call as u32),
            step(LOAD, 0, FIRST_ARGUMENT),
            step(JUMP_IF_EQUAL, 1, argument as u32),
        ]),
    }
    steps.extend([deny, allow]);
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: both calls only read their arguments, which outlive them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program), 0);
    }
}
