// SPDX-License-Identifier: MIT

//! What a sleep costs among very many tasks of tokio: `sleepers_tokio N`, of which each sleeps three times from 1 to
//! 500 ms. The processor time of the whole process, a sleep, as `bench_scale sleepers N` tells it of noria's tasks. One
//! line of JSON. (tokio's timers count milliseconds, so that many end together.)

use std::error::Error;
use std::mem::MaybeUninit;
use std::process::exit;
use std::time::Duration;

const SLEEPS: u64 = 3;

async fn sleep_thrice(mut random: u64) {
    for _ in 0..SLEEPS {
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let span = Duration::from_nanos((random >> 33) % 499_000_000);
        tokio::time::sleep(Duration::from_millis(1) + span).await;
    }
}

async fn sleepers(count: u64) -> Result<(), Box<dyn Error>> {
    let mut tasks = Vec::with_capacity(count as usize);
    for i in 1..=count {
        tasks.push(tokio::spawn(sleep_thrice(i)));
    }
    for task in tasks {
        task.await?;
    }
    Ok(())
}

fn cpu_ns() -> Result<f64, Box<dyn Error>> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let usage = unsafe { usage.assume_init() };
    let ns = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    Ok(ns(usage.ru_utime) + ns(usage.ru_stime))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let count: u64 = match arguments.get(1).map(|text| text.parse()) {
        Some(Ok(count)) if count > 0 && arguments.len() == 2 => count,
        _ => {
            eprintln!("usage: sleepers_tokio N");
            exit(2);
        }
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?
        .block_on(sleepers(count))?;
    println!(
        "{{\"tasks\": {count}, \"cpu_ns_per_sleep\": {:.1}}}",
        cpu_ns()? / (count * SLEEPS) as f64
    );
    Ok(())
}
