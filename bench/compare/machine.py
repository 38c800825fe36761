"""What the report says of the machine: nothing that names it or a folder on it."""

import os
import platform
import re
import subprocess

SHOWN = ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_vpopcntdq", "amx_tile"]


def first_line(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""


def lscpu():
    try:
        text = subprocess.run(["lscpu"], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def compiler(program):
    try:
        text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return program
    # GNU's says the name by which it was called.
    return re.sub(r"^c\+\+ ", "g++ ", text.splitlines()[0])


def cache_entry(cmake_cache, name):
    found = re.search(rf"^{name}:\w+=(.*)$", cmake_cache, re.MULTILINE)
    return found.group(1) if found else ""


def describe(bench_folder):
    cpu = lscpu()
    flags = set(cpu.get("Flags", "").split())
    memory = re.search(r"\d+", first_line("/proc/meminfo"))
    try:
        cache = (bench_folder / "CMakeCache.txt").read_text(encoding="utf-8")
    except OSError:
        cache = ""
    huge = re.search(r"\[(\w+)\]", first_line("/sys/kernel/mm/transparent_hugepage/enabled"))
    simd = cache_entry(cache, "QUIVER_SIMD")
    return {
        "processor": cpu.get("Model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "hypervisor": cpu.get("Hypervisor vendor", "none"),
        "caches": ", ".join(f"{level} {cpu[level + ' cache']}" for level in ("L1d", "L2", "L3") if level + " cache" in cpu),
        "instruction sets": " ".join(flag for flag in SHOWN if flag in flags),
        "memory": f"{int(memory.group()) / 2**20:.0f} GiB" if memory else "",
        "transparent huge pages": huge.group(1) if huge else "",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": compiler(cache_entry(cache, "CMAKE_CXX_COMPILER") or "c++"),
        "flags": f"{cache_entry(cache, 'CMAKE_CXX_FLAGS_RELEASE')} QUIVER_SIMD={simd}".strip(),
        "python": platform.python_version(),
    }


def load():
    return round(os.getloadavg()[0], 2)
