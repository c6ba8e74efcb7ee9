//! Where reports and other lines go.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::args::Args;
use crate::error::StartError;
use crate::report::{self, Report};

/// Where reports go.
pub(crate) struct Outputs {
    json: Option<Output>,
    hgrm: Option<Output>,
    plot: Option<Output>,
}

enum Output {
    Standard,
    File(File, String),
}

impl Outputs {
    /// Makes the files, so that a wrong path does not cost a run.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub(crate) fn create(args: &Args) -> Result<Self, StartError> {
        let create = |path: &Option<_>| path.as_deref().map(Output::create).transpose();
        Ok(Self {
            json: create(&args.json)?,
            hgrm: create(&args.hgrm)?,
            plot: create(&args.plot)?,
        })
    }

    /// Writes everything that was asked for.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn write(self, report: &Report<'_>) -> Result<(), StartError> {
        if !matches!(self.json, Some(Output::Standard)) {
            Output::Standard.write(&report::text(report))?;
        }
        if let Some(output) = self.json {
            output.write(&format!("{}\n", report::json(report)))?;
        }
        if let Some(output) = self.hgrm {
            output.write(&report::hgrm(&report.outcome.latencies))?;
        }
        if let Some(output) = self.plot {
            output.write(&report::plot(report))?;
        }
        Ok(())
    }
}

impl Output {
    fn create(path: &Path) -> Result<Self, StartError> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        let name = path.display().to_string();
        match File::create(path) {
            Ok(file) => Ok(Self::File(file, name)),
            Err(source) => Err(StartError::Write { name, source }),
        }
    }

    fn write(self, text: &str) -> Result<(), StartError> {
        let (result, name) = match self {
            Self::Standard => (
                io::stdout().write_all(text.as_bytes()),
                "standard output".into(),
            ),
            Self::File(mut file, name) => (file.write_all(text.as_bytes()), name),
        };
        match result {
            // Somebody has read as much as they wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|source| StartError::Write { name, source }),
        }
    }
}

/// Prints a line for people, beside the report.
pub(crate) fn tell(line: &str) {
    // Nobody is left to tell if it cannot be printed.
    let _ = writeln!(io::stderr(), "{line}");
}
