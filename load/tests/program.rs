//! The program as its users run it: against services that work, that fail, and that are not there.

#![forbid(unsafe_code)]

mod service;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;

use service::{serve, serve_one, serve_routed};

fn program(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringpost-load"));
    command.args(line.split_whitespace());
    command
}

/// Runs the program, and sees that it ends with this status.
fn run(line: &str, status: i32) -> (String, String) {
    let output = program(line).output().expect("the program starts");
    texts(line, &output, status)
}

fn texts(line: &str, output: &Output, status: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code();
    assert_eq!(
        code,
        Some(status),
        "{line}\n--- printed\n{out}\n--- told\n{err}"
    );
    (out, err)
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

/// An address at which nothing listens.
fn dead_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound")
}

#[test]
fn a_spawned_echo_answers_everything() {
    let line = "raw://127.0.0.1:0 --spawn-echo -c 4 -w 8 -t 2 -n 10001 --max p99=60s --min rate=1";
    let (out, err) = run(line, 0);
    contains(
        &out,
        &[
            "4 connections, window 8, messages of 64 B, 2 threads; closed loop",
            "10,001 sent, 10,001 answered, 0 lost, 0 duplicated, 0 corrupt, 0 reordered",
            "≤ 60.0 s: held",
        ],
    );
    assert_eq!(err, "");
}

#[test]
fn messages_of_all_sizes_come_back() {
    for (scheme, size) in [
        ("raw", "16"),
        ("raw", "17"),
        ("framed", "16"),
        ("raw", "1KiB"),
        ("framed", "100_000"),
    ] {
        let line =
            format!("{scheme}://127.0.0.1:0 --spawn-echo -c 2 -w 5 -n 300 --size {size} --json");
        let (out, _) = run(&line, 0);
        contains(&out, &["\"answered\": 300, \"lost\": 0, ", "\"ok\": true}"]);
    }
}

#[test]
fn an_open_loop_sends_what_its_rate_asks_for() {
    let line = "raw://127.0.0.1:0 --spawn-echo -c 3 --rate 5k -n 500 --json";
    let (out, _) = run(line, 0);
    contains(
        &out,
        &[
            "\"offered_rate\": 5000, ",
            "\"sent\": 500, \"answered\": 500, ",
            "\"samples\": 500, ",
        ],
    );
}

#[test]
fn an_open_loop_that_is_too_fast_fails_and_omits_nothing() {
    // However many turns are missed, the run ends when it should.
    for rate in ["2M", "10G"] {
        let line = format!("raw://127.0.0.1:0 --spawn-echo --rate {rate} --window 4 -d 100ms");
        let (out, _) = run(&format!("{line} --timeout 100ms"), 1);
        contains(
            &out,
            &[
                "messages due never left\n           overload: ",
                "at least: ",
                "messages had no reply",
                "unsent ",
                " > 0: MISSED",
            ],
        );
    }
    let line = "local:// --rate 1G --window 4 -d 100ms --timeout 100ms --json";
    let (out, _) = run(line, 1);
    contains(
        &out,
        &["{\"metric\": \"unsent\", \"max\": 0, ", "\"ok\": false}"],
    );
    assert!(!out.contains("\"unanswered\": 0, "), "{out}");
}

#[test]
fn a_route_over_the_wire_format_is_answered() {
    let server = serve_routed();
    let line = format!("tcp://{server}/relay/echoer -c 3 -w 4 -n 1000 --size 200");
    let (out, _) = run(&line, 0);
    contains(&out, &["/relay/echoer\n", "1,000 answered, 0 lost"]);
}

#[test]
fn a_spawned_node_answers_everything() {
    for size in [16, 20_000] {
        let line = format!("tcp://127.0.0.1:0/echoer --spawn-echo -c 4 -w 8 -n 2000 --size {size}");
        let (out, _) = run(&line, 0);
        contains(&out, &["/echoer\n", "2,000 sent, 2,000 answered, 0 lost"]);
    }
    let (_, err) = run("tcp://127.0.0.1:0/relay/echoer --spawn-echo", 2);
    contains(&err, &["--spawn-echo starts one worker"]);
}

#[test]
fn a_worker_that_never_replies_is_asked_about() {
    let server = serve(|stream, _| io::copy(stream, &mut io::sink()).map(drop));
    let (out, _) = run(&format!("tcp://{server}/nobody -n 3 --timeout 100ms"), 1);
    contains(
        &out,
        &[
            "3 sent, 0 answered, 3 lost",
            "is it exposed to connections?",
            // A closed loop has no latencies but those of replies.
            "latency    none: ",
        ],
    );
}

#[test]
fn another_scheme_is_thought_of() {
    // A node ends what does not greet it, and a plain echo sends greeting and frames back.
    let node = serve(|stream, _| stream.read_exact(&mut [0]));
    let (out, _) = run(&format!("raw://{node} -n 3"), 4);
    contains(&out, &["A worker of a node is tcp://HOST:PORT/WORKER"]);
    let echo = serve(|stream, _| io::copy(&mut stream.try_clone()?, stream).map(drop));
    let (out, _) = run(&format!("tcp://{echo}/echoer -n 3 --timeout 100ms"), 1);
    contains(&out, &["A plain echo is raw://HOST:PORT"]);
}

#[test]
fn workers_of_a_node_in_this_process_answer_everything() {
    let line = "local:// -c 3 -w 16 -n 5000 --from-core 0 --to-core 1";
    let (out, _) = run(line, 0);
    contains(
        &out,
        &[
            "local:// from core 0 to core 1\n3 pairs, window 16, messages of 64 B",
            "5,000 sent, 5,000 answered, 0 lost",
        ],
    );
    let (_, err) = run("local:// --to-core 5000", 3);
    contains(
        &err,
        &["no CPU for core 5000", "the node: ", "cores = 5001"],
    );
}

#[test]
fn nobody_at_the_port_is_said_so() {
    let server = dead_port();
    let (out, err) = run(&format!("raw://{server} -c 8"), 3);
    contains(
        &err,
        &[
            &format!("nothing listens at {server}: connection refused"),
            "--spawn-echo",
        ],
    );
    assert_eq!(out, "");
    // A name that no server needs to be asked about.
    let name = "x".repeat(300);
    let (_, err) = run(&format!("raw://{name}:1"), 3);
    contains(&err, &[&format!("cannot find {name}:1")]);
}

#[test]
fn a_service_that_dies_midway_leaves_what_was_measured() {
    let server = serve(|stream, _| {
        let mut buffer = [0; 6400];
        for _ in 0..2 {
            stream.read_exact(&mut buffer)?;
            stream.write_all(&buffer)?;
        }
        stream.shutdown(Shutdown::Both)
    });
    let (out, _) = run(
        &format!("raw://{server} -c 2 -w 100 -d 60s --warm-up 0ms"),
        4,
    );
    contains(
        &out,
        &[
            "the run ended early: all 2 connections broke",
            "Measured so far:",
            "p99",
        ],
    );
    let (out, _) = run(
        &format!("raw://{server} -w 100 -d 60s --warm-up 0ms --json"),
        4,
    );
    contains(
        &out,
        &[
            "\"answered\": 200, \"lost\": 100, ",
            "\"broken_connections\": 1, ",
            "\"ok\": false}",
        ],
    );
}

#[test]
fn one_connection_that_breaks_does_not_end_the_others() {
    let server = serve(|stream, number| {
        let mut buffer = [0; 64];
        loop {
            stream.read_exact(&mut buffer)?;
            if number == 0 {
                return Ok(());
            }
            stream.write_all(&buffer)?;
        }
    });
    let (out, _) = run(&format!("raw://{server} -c 4 -n 400"), 4);
    contains(&out, &["1 of 4 connections broke", " 300 answered, 1 lost"]);
}

#[test]
fn another_protocol_is_named() {
    let server = serve(|stream, _| {
        let mut buffer = [0; 16];
        stream.read_exact(&mut buffer)?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let (out, _) = run(&format!("tcp://{server}/echoer -d 60s"), 4);
    contains(
        &out,
        &[
            "speaks version 72 of the protocol",
            "does the server speak what the target names? A plain echo is raw://",
        ],
    );
}

#[test]
fn faults_of_a_service_fail_the_run() {
    // It swallows the 10th message, repeats the 20th, spoils the 30th, and swaps the 40th with the next.
    let server = serve(|stream, _| {
        let mut buffer = [0; 64];
        let mut held = Vec::new();
        for number in 0_u32.. {
            stream.read_exact(&mut buffer)?;
            match number {
                10 => continue,
                20 => stream.write_all(&buffer)?,
                30 => buffer[40] ^= 1,
                40 => {
                    held = buffer.to_vec();
                    continue;
                }
                _ => {}
            }
            stream.write_all(&buffer)?;
            stream.write_all(&std::mem::take(&mut held))?;
        }
        Ok(())
    });
    let (out, _) = run(&format!("raw://{server} -w 4 -n 100 --timeout 200ms"), 1);
    contains(
        &out,
        &[
            "100 sent, 98 answered, 1 lost, 1 duplicated, 1 corrupt, 1 reordered",
            "lost 1 > 0: MISSED",
        ],
    );
    let line = "-w 4 -n 100 --timeout 200ms --max lost=1 --max duplicated=1 --max corrupt=1 --max reordered=1";
    run(&format!("raw://{server} {line}"), 0);
}

#[test]
fn a_missed_bound_sets_the_exit_status() {
    let (out, _) = run("raw://127.0.0.1:0 --spawn-echo -n 100 --min rate=900G", 1);
    contains(&out, &["< 900,000,000,000/s: MISSED"]);
}

#[test]
fn a_wrong_command_line_is_explained() {
    let (_, err) = run("raw://127.0.0.1:1 --size 3", 2);
    contains(&err, &["a message has at least 16 bytes"]);
    let (_, err) = run("echo.example:80", 2);
    contains(&err, &["write tcp://HOST:PORT/WORKER"]);
    let (out, _) = run("--help", 0);
    contains(&out, &["Examples:", "Exit status:"]);
}

#[test]
fn reports_are_written_to_files() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = |name: &str| folder.join(name).display().to_string();
    let (json, hgrm, plot) = (path("out.json"), path("out.hgrm"), path("out.svg"));
    let line =
        format!("raw://127.0.0.1:0 --spawn-echo -n 100 --json={json} --hgrm {hgrm} --plot {plot}");
    let (out, _) = run(&line, 0);
    contains(&out, &["p50"]);
    let read = |path: String| fs::read_to_string(path).expect("it was written");
    contains(&read(json), &["\"answered\": 100, "]);
    contains(
        &read(hgrm),
        &["1/(1-Percentile)", "Total count    =          100]"],
    );
    contains(&read(plot), &["<polyline points=", "</svg>"]);
    // A file that cannot be made is found before the run, not after it.
    let (out, err) = run(
        "raw://127.0.0.1:0 --spawn-echo -d 1h --plot /no/such/folder/out.svg",
        3,
    );
    contains(&err, &["cannot write /no/such/folder/out.svg"]);
    assert_eq!(out, "");
}

#[test]
fn a_search_reports_its_trials() {
    let line = "raw://127.0.0.1:0 --spawn-echo -d 20ms --find-rate p50=1us --rate 64 --json";
    // A microsecond is not kept by any machine, so the search goes down to its end.
    let (out, err) = run(line, 1);
    contains(
        &out,
        &[
            "\"search\": {\"metric\": \"p50\", \"limit\": 1000, \"found_rate\": null, \"trials\": [{",
        ],
    );
    contains(&out, &["\"failure\": null}, ", "\"ok\": false}"]);
    contains(&err, &["64/s", ": missed, once more\n", ": missed\n"]);
}

#[test]
fn a_search_whose_service_goes_away_keeps_what_it_has_found() {
    // It goes when the connection of the first trial has ended.
    let server = serve_one(|stream| {
        let mut buffer = [0; 64];
        loop {
            stream.read_exact(&mut buffer)?;
            stream.write_all(&buffer)?;
        }
    });
    let line = format!("raw://{server} -d 50ms --find-rate p50=60s --rate 100");
    let (out, _) = run(&line, 4);
    contains(
        &out,
        &[
            "highest rate that keeps p50 ≤ 60.0 s: 100/s (1 trial; the figures of that one follow)\n",
            &format!("the search ended early: nothing listens at {server}"),
            "\nlatency ",
        ],
    );
}

#[test]
#[cfg(target_os = "linux")]
fn too_few_open_files_for_a_spawned_echo_are_told() {
    // Too few by far, and so many that the client has enough of them, but not the echo.
    for connections in [100, 30] {
        let program = env!("CARGO_BIN_EXE_ringpost-load");
        let line = format!("raw://127.0.0.1:0 --spawn-echo -c {connections} -d 1h --timeout 1h");
        let output = Command::new("sh")
            .args(["-c", &format!("ulimit -n 64; exec {program} {line}")])
            .output();
        let output = output.expect("there is a shell");
        let (out, err) = texts(&line, &output, 3);
        contains(&err, &["--spawn-echo", "open files", "(ulimit -n)", "(-c)"]);
        assert_eq!(out, "");
    }
}

#[test]
#[cfg(unix)]
fn the_user_may_end_a_run_and_keeps_what_was_measured() {
    let (begun, begins) = channel();
    let server = serve(move |stream, _| {
        let mut buffer = [0; 64];
        loop {
            stream.read_exact(&mut buffer)?;
            stream.write_all(&buffer)?;
            // The second one fails when the test has heard enough.
            let _ = begun.send(());
        }
    });
    let line = format!("raw://{server} -d 1h --warm-up 0ms");
    let child = program(&line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.expect("the program starts");
    for _ in 0..10 {
        begins.recv().expect("the service runs");
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.expect("there is a kill").success());
    let output = child.wait_with_output().expect("it ends");
    let (out, _) = texts(&line, &output, 130);
    contains(
        &out,
        &["ended early at the user's wish", "answered, 1 lost"],
    );
}
