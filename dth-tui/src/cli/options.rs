//! The options of all commands, and those of the dashboard.

use clap::{Args, ValueEnum, builder::PossibleValue};
use dth_proto::address::Address;

use crate::{glyph::Glyphs, headless::Format, theme::ColorChoice};

/// Options of all commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where dthd is: `unix:/path` or `ssh://[user@]host[:port][/socket]` [env: DTH_HOST] [default: the local socket]
    #[arg(long, global = true, value_name = "ADDR", conflicts_with = "context")]
    pub host: Option<Address>,
    /// Where dthd is, by a name from tui.toml: [contexts.NAME] host = "…"
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// How answers look: columns for people, one JSON document, or one JSON object per line
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
}

/// Options of the dashboard.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dashboard options")]
pub struct Look {
    /// Refuse everything that changes something
    #[arg(long)]
    pub read_only: bool,
    /// Characters for bars and charts
    #[arg(long, value_enum, default_value_t = Glyphs::Auto, value_name = "SET")]
    pub glyphs: Glyphs,
    /// Colours; auto respects NO_COLOR
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub color: ColorChoice,
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Table, Self::Json, Self::Ndjson]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }))
    }
}
