"""The demo: five ways of asking the service for an edit, in the browser and in the terminal."""
