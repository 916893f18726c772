//! One file for each notifier; renders and sends one alert.
