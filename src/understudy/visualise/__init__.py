"""Pictures: scenes, plays, animations and curves. No display is needed."""
