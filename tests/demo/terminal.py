"""Runs a command in a pseudo-terminal of 80x24, waits until the dashboard shows a rate, presses q, and expects success."""

import os, pty, re, select, struct, sys, termios, time, fcntl

LONGEST_S = 180
pid, master = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm-256color"
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
seen, pressed, begin = b"", False, time.monotonic()
while time.monotonic() - begin < LONGEST_S:
    ready, _, _ = select.select([master], [], [], 1)
    if ready:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other side is gone
            break
        if not data:
            break
        seen += data
    if not pressed and re.search(rb"[0-9.]+ [kMG]B/s", seen):
        os.write(master, b"q")
        pressed = True
_, status = os.waitpid(pid, 0)
if not pressed or os.waitstatus_to_exitcode(status) != 0 or b"all identical" not in seen or b"\x1b[?1049l" not in seen:
    sys.stdout.write(seen.decode(errors="replace"))
    sys.exit("the demo in a terminal did not show moving data, leave the screen and end well")
print("the dashboard showed moving data, q left it, all objects identical")
